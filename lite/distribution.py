"""Put together a Pyodide distribution: the runtime, wheels compiled ahead of time, and a lock file that lists only them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

COMPILE = Path(__file__).with_name("compile.mjs")
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
LIBRARY = "python_stdlib.zip"
# Their sources stay beside the compiled files: a learner may look into ours, and anyio reads its own.
READABLE = ("anyio", "chat-completions-lessons", "lesson-files")
OLDEST = (1980, 1, 1, 0, 0, 0)


def write(runtime: Path, wheels: list[Path], target: Path, cache: Path) -> None:
    """Fill the target folder; what was compiled before is taken from the cache."""
    target.mkdir(parents=True)
    for name in CORE:
        shutil.copy2(runtime / name, target / name)
    packages = compile_all(runtime, [runtime / LIBRARY, *wheels], cache)
    shutil.copy2(packages[0], target / LIBRARY)
    info = json.loads((runtime / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    entries = dict(entry(wheel, environment(info["python"])) for wheel in packages[1:])
    for wheel in packages[1:]:
        shutil.copy2(wheel, target / wheel.name)
    for one in entries.values():
        one["depends"] = [name for name in one["depends"] if name in entries]
    lock = {"info": info, "packages": entries}
    (target / "pyodide-lock.json").write_text(json.dumps(lock, indent=1), encoding="utf-8")


def entry(wheel: Path, environment: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return a wheel's name and what the lock file says of it."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = metadata_of(archive)
        modules = {top_level(name) for name in archive.namelist()} - {None}
    needed = map(Requirement, metadata.get_all("Requires-Dist") or [])
    depends = [normal(each.name) for each in needed if each.marker is None or each.marker.evaluate(environment)]
    return normal(metadata["Name"]), {
        "name": metadata["Name"],
        "version": metadata["Version"],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(modules),
        "depends": depends,
        "unvendored_tests": False,
    }


def metadata_of(archive: zipfile.ZipFile) -> Message:
    [name] = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    return Parser().parsestr(archive.read(name).decode("utf-8"))


def top_level(name: str) -> str | None:
    found = re.fullmatch(r"(\w+)(?:/__init__)?\.pyc?", name)
    return found[1] if found else None


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def environment(python: str) -> dict[str, str]:
    """Return what a requirement's marker is compared with in a browser."""
    short = python.rpartition(".")[0]
    return {
        "sys_platform": "emscripten",
        "platform_system": "Emscripten",
        "platform_machine": "wasm32",
        "os_name": "posix",
        "python_version": short,
        "python_full_version": python,
        "implementation_name": "cpython",
        "implementation_version": python,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
        "extra": "",
    }


def compile_all(runtime: Path, archives: list[Path], cache: Path) -> list[Path]:
    """Return each archive with its Python compiled: a browser that compiles it anew takes ten seconds longer to start."""
    made = {archive: cache / digest(archive, runtime) / archive.name for archive in archives}
    missing = [archive for archive in archives if not made[archive].exists()]
    with tempfile.TemporaryDirectory() as folder:
        sources = {archive: Path(folder) / str(number) for number, archive in enumerate(missing)}
        for archive, source in sources.items():
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(source)
        if missing and subprocess.call(["node", str(COMPILE), str(runtime), folder]):
            sys.exit("The Python files could not be compiled: see the lines above. It takes Node.js 20 or newer.")
        for archive, source in sources.items():
            pack(source, made[archive])
    return list(made.values())


def digest(archive: Path, runtime: Path) -> str:
    parts = (archive, runtime / "package.json", COMPILE)
    return hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts)).hexdigest()[:16]


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder, each module compiled, reproducibly."""
    metadata = next(folder.glob("*.dist-info/METADATA"), None)
    readable = bool(metadata) and normal(Parser().parsestr(metadata.read_text(encoding="utf-8"))["Name"]) in READABLE
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".new")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = packed_name(path.relative_to(folder), readable, path.with_suffix(".pyc").exists())
            if name:
                packed.writestr(zipfile.ZipInfo(name, OLDEST), path.read_bytes(), zipfile.ZIP_DEFLATED)
    unfinished.replace(archive)


def packed_name(path: Path, readable: bool, compiled: bool) -> str | None:
    if path.suffix == ".pyc" and readable:
        return (path.parent / "__pycache__" / f"{path.stem}.cpython-314.pyc").as_posix()
    if path.suffix in (".py", ".pyi", ".map") and not readable and (compiled or path.suffix != ".py"):
        return None
    return path.as_posix()


def make_wheel(folder: Path, name: str, files: Mapping[str, Path]) -> None:
    """Write a wheel of plain files, by their names in it."""
    module = name.replace("-", "_")
    info = f"{module}-0.dist-info"
    with zipfile.ZipFile(folder / f"{module}-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        for inside, path in files.items():
            wheel.write(path, inside)
