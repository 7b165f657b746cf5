"""Environments beside the course's own: the gateway's and the hub's requirements clash with it or would weigh on it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from course import PROJECT

from chatkit.errors import ChatkitError


def prepare(name: str, requirements: Path, *, course: bool = False) -> Path:
    """Return the Python of `.venv-NAME`, made or renewed when its requirements have changed.

    With `course` the course itself is installed too, in the versions of constraints.txt.

    Raises:
        ChatkitError: the installation failed.
    """
    folder = PROJECT / f".venv-{name}"
    stamp = folder / "installed.txt"
    wanted = _fingerprint([requirements, *(_course_files() if course else [])])
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"{folder.name}: 준비합니다. 처음 한 번은 몇 분 걸립니다.", flush=True)
        stamp.unlink(missing_ok=True)
        _install(folder, python, requirements, course=course)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _install(folder: Path, python: Path, requirements: Path, *, course: bool) -> None:
    uv = shutil.which("uv")
    made = (
        [uv, "venv", "-q", "--clear", "--python", sys.executable] if uv else [sys.executable, "-m", "venv", "--clear"]
    )
    tool = [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    own = ["-c", PROJECT / "constraints.txt", PROJECT] if course else []
    for command in ([*made, folder], [*tool, "-r", requirements, *own]):
        if subprocess.call([str(part) for part in command]):
            raise ChatkitError(
                f"{folder.name}: 설치하지 못했습니다. 위의 오류와 인터넷 연결을 확인하고 다시 실행하세요."
            )


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _course_files() -> list[Path]:
    fixed = [PROJECT / "pyproject.toml", PROJECT / "constraints.txt"]
    return [*fixed, *sorted((PROJECT / "chatkit").glob("*.[pt][yo]*"))]
