"""Build the browser edition: a static JupyterLite site in the folder given, or in dist/lite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import distribution

from chatkit import notebooks

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
WORK = PROJECT / "build" / "lite"
SITE = PROJECT / "dist" / "lite"
RUNTIME = "pyodide@314.0.7"
# The tag that a wheel for this runtime carries: its ABI, and its Python.
WASM = [
    "--platform",
    "pyemscripten_2026_0_wasm32",
    "--python-version",
    "3.14",
    "--implementation",
    "cp",
    "--abi",
    "cp314",
]
KERNEL_PARTS = ("ipykernel", "piplite", "pyodide_kernel", "widgetsnbextension-4")
NOTE = """

> **브라우저판입니다.** 설치한 것도, 보내는 것도 없습니다. `.env` 파일과 터미널(`start.py`)은 여기서 쓰지 않습니다. 저장되는 곳과 내 키로 물어보는 방법은 왼쪽 파일 목록의 `browser.md`에 있습니다."""  # noqa: E501
# Not climate.py: beside the notebook it would be imported from there, and SQLite cannot write on the page's drive.
BESIDE = ("data", "images", "own_model.md", "my_bot.py")


def main(arguments: list[str]) -> int:
    """Build the site; what was fetched before, and still is what is wanted, is not fetched again."""
    site = Path(arguments[0]).resolve() if arguments else SITE
    WORK.mkdir(parents=True, exist_ok=True)
    tools, runtime = make_tools(), fetch_runtime()
    wheels = [*fetch_wheels(tools), *kernel_wheels(tools), *make_own_wheels(tools)]
    source = WORK / "source"
    shutil.rmtree(source, ignore_errors=True)
    distribution.write(runtime, wheels, source / "static" / "pyodide", WORK / "compiled")
    put_lessons(source / "files")
    put_settings(source)
    build_site(tools, source, site)
    finish(site)
    print(f"{site}: {megabytes(site):.1f} MB")
    return 0


def make_tools() -> Path:
    """Return the `bin` folder of an environment that holds JupyterLite, apart from the learner's JupyterLab."""
    folder, stamp = WORK / "tools", WORK / "tools.txt"
    wanted = f"{sys.version}\n{(HERE / 'tools.txt').read_text(encoding='utf-8')}"
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([programs / "python", "-m", "pip", "install", "--quiet", "--quiet", "-r", HERE / "tools.txt"])
        stamp.write_text(wanted, encoding="utf-8")
    return programs


def fetch_runtime() -> Path:
    folder = WORK / "runtime"
    package = folder / "node_modules" / "pyodide"
    version = RUNTIME.partition("@")[2]
    if not is_version(package / "package.json", version):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        npm = shutil.which("npm") or sys.exit("npm is not on PATH: install Node.js 20 or newer, then run this again.")
        run([npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, RUNTIME])
    return package


def is_version(package: Path, version: str) -> bool:
    return package.exists() and json.loads(package.read_text(encoding="utf-8"))["version"] == version


def fetch_wheels(tools: Path) -> list[Path]:
    folder, stamp = WORK / "wheels", WORK / "wheels.txt"
    wanted = (HERE / "constraints.txt").read_text(encoding="utf-8")
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        options = ["--quiet", "--quiet", "--no-deps", "--only-binary=:all:", *WASM, "--dest", folder]
        run([tools / "python", "-m", "pip", "download", *options, "-r", HERE / "constraints.txt"])
        stamp.write_text(wanted, encoding="utf-8")
    return sorted(folder.glob("*.whl"))


def kernel_wheels(tools: Path) -> list[Path]:
    """Return the wheels that JupyterLite's Python kernel brings with it."""
    [folder] = (tools.parent / "share").rglob("pyodide-kernel-extension/static/pypi")
    return [wheel for wheel in sorted(folder.glob("*.whl")) if wheel.name.startswith(KERNEL_PARTS)]


def make_own_wheels(tools: Path) -> list[Path]:
    """Make the wheel of chatkit, with its recordings, and one of what lesson 6 imports.

    The page's own folder of files needs a service worker, which there is only over https or on localhost.
    """
    folder = WORK / "own"
    shutil.rmtree(folder, ignore_errors=True)
    run([tools / "python", "-m", "pip", "wheel", "--quiet", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT])
    lessons = PROJECT / "notebooks"
    files = {"climate.py": lessons / "climate.py"}
    files |= {f"data/{path.name}": path for path in (lessons / "data").glob("*.csv")}
    distribution.make_wheel(folder, "lesson-files", files)
    distribution.make_wheel(folder, "jedi", {})  # the kernel asks for the name; completion works without the 5 MB
    return sorted(folder.glob("*.whl"))


def put_lessons(folder: Path) -> None:
    """Lay out what a learner finds in the file browser: as in `work/`, no cell run yet."""
    (folder / "solutions").mkdir(parents=True)
    for book in [*notebooks.lessons(PROJECT), *sorted((PROJECT / "solutions").glob("*.ipynb"))]:
        target = folder / book.relative_to(PROJECT / "notebooks" if "notebooks" in book.parts else PROJECT)
        notebooks.write_unrun(book, target)
        use_browser_kernel(target)
    for name in BESIDE:
        copy = shutil.copytree if (PROJECT / "notebooks" / name).is_dir() else shutil.copy2
        copy(PROJECT / "notebooks" / name, folder / name)
    for page in (HERE / "files").iterdir():
        shutil.copy2(page, folder / page.name)


def use_browser_kernel(path: Path) -> None:
    book = notebooks.read(path)
    book.cells[0].source += NOTE
    book.metadata["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    path.write_text(notebooks.text_of(book), encoding="utf-8")


def put_settings(source: Path) -> None:
    for name in ("jupyter-lite.json", "jupyter_lite_config.json", "overrides.json"):
        shutil.copy2(HERE / name, source / name)


def build_site(tools: Path, source: Path, site: Path) -> None:
    """Run JupyterLite on the source folder; each of its options is in jupyter_lite_config.json.

    `jupyter lite check` builds again what other options would change: both read the one file.
    """
    shutil.rmtree(site, ignore_errors=True)
    environment = {**os.environ, "JUPYTERLITE_OUTPUT_DIR": str(site), "JUPYTER_PLATFORM_DIRS": "1"}
    for step in ("build", "check"):
        log = WORK / f"{step}.log"
        with log.open("wb") as output:
            command = [str(tools / "jupyter"), "lite", step]
            code = subprocess.call(command, cwd=source, env=environment, stdout=output, stderr=subprocess.STDOUT)
        if code:
            sys.exit(f"jupyter lite {step} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-3_000:]}")


def finish(site: Path) -> None:
    """Put our own door in front, and let the page wait for its service worker."""
    shutil.copy2(HERE / "index.html", site / "index.html")
    # JupyterLite's icon holds every size up to 256 pixels: 0.3 MB of each first visit.
    shutil.copy2(site / "static" / "favicons" / "favicon.ico", site / "lab" / "favicon.ico")
    shutil.copy2(HERE / "service_worker_first.js", site / "static" / "service_worker_first.js")
    page = site / "lab" / "index.html"
    before, found, after = page.read_text(encoding="utf-8").partition("await import(\n")
    if not found:
        sys.exit(f"{page} does not start as that of JupyterLite 0.8.6: see `finish` in {Path(__file__).name}.")
    page.write_text(f"{before}await import('../static/service_worker_first.js');\n{found}{after}", encoding="utf-8")


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def run(command: list[object]) -> None:
    code = subprocess.call([str(part) for part in command], cwd=WORK)
    if code:
        sys.exit(f"failed with exit code {code}: {' '.join(map(str, command))}")
