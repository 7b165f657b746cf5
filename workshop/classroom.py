"""The room's hub on this machine: its environment, its process, its password."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from course import PROJECT, ROOM
from environments import prepare
from seats import own_address

from chatkit.errors import ChatkitError

HERE = Path(__file__).resolve().parent / "hub"
PROXY = "configurable-http-proxy@5.3.0"  # from npm, as JupyterHub asks; the newest for Node.js 20


def hub(count: int, host: str, port: int, folder: Path = ROOM / "hub") -> int:
    """Run the hub until it is stopped, with every seat's server started first.

    Raises:
        ChatkitError: Node.js or git is missing.
    """
    python = hub_python()
    password, token = secrets.token_hex(4), secrets.token_hex(32)
    environment = hub_environment(python, folder, count, host=host, port=port, password=password, token=token)
    print(f"허브: http://{own_address()}:{port} · 이름 seat-01 … seat-{count:02} · 비밀번호 {password}", flush=True)
    with subprocess.Popen(hub_command(python), env=environment, cwd=folder) as process:
        api = f"http://127.0.0.1:{port}/hub/api"
        before = [str(python), str(HERE / "before_class.py"), api, str(count)]
        try:
            subprocess.call(before, env={**environment, "HUB_TOKEN": token})
            return process.wait()
        except KeyboardInterrupt:
            return process.wait()


def hub_python() -> Path:
    """Return the Python of the hub's environment, with its proxy installed beside it.

    Raises:
        ChatkitError: Node.js or git is missing.
    """
    for program, where in {"npm": "Node.js 20 이상(npm 포함)", "git": "git"}.items():
        if not shutil.which(program):
            raise ChatkitError(f"허브에는 {where}이(가) 필요합니다. 설치하고 다시 실행하세요.")
    python = prepare("hub", HERE / "requirements.txt", course=True)
    folder = PROJECT / ".venv-hub"
    if not (folder / "node_modules" / ".bin" / "configurable-http-proxy").exists():
        npm = [str(shutil.which("npm")), "install", "--no-save", "--silent", "--prefix", str(folder), PROXY]
        if subprocess.call(npm):
            raise ChatkitError(f"{PROXY}를 설치하지 못했습니다. 인터넷 연결을 확인하고 다시 실행하세요.")
    return python


def hub_command(python: Path) -> list[str]:
    return [str(python), "-m", "jupyterhub", "--config", str(HERE / "jupyterhub_config.py"), "--log-level=WARN"]


def hub_environment(
    python: Path,
    folder: Path,
    count: int,
    *,
    host: str,
    port: int,
    password: str,
    token: str,
    repository: Path = PROJECT,
) -> dict[str, str]:
    """Return all that the hub's process is told."""
    folder.mkdir(parents=True, exist_ok=True)
    branch = subprocess.run(
        ["git", "rev-parse", "--abbrev-ref", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUTF8": "1",
        "WORKSHOP_HUB_FOLDER": str(folder),
        "WORKSHOP_HUB_HOST": host,
        "WORKSHOP_HUB_PORT": str(port),
        "WORKSHOP_HUB_PASSWORD": password,
        "WORKSHOP_HUB_TOKEN": token,
        "WORKSHOP_HUB_SEATS": " ".join(f"seat-{number:02}" for number in range(1, count + 1)),
        "COURSE_REPOSITORY": str(repository),
        "COURSE_BRANCH": branch,
    }
