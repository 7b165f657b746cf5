"""Set up the lessons and open them, with nothing but Python.

python start.py              JupyterLab on lesson 1 with recorded responses (no key)
python start.py lab 03       the same, on lesson 3 (--projector, --no-browser)
python start.py test [...]   all checks; with arguments, pytest alone
python start.py lite         build the browser edition into dist/lite (needs Node.js 20)
python start.py test-lite    build it and check it
python start.py wheels       fill ./wheels for CHATKIT_WHEELS=wheels on machines without a network
python start.py workshop ... what an instructor needs: slides, seats, gateway, hub (workshop/INSTRUCTOR.md)
python start.py reset 02     any other word goes to the chatkit command
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "chatkit-installed.txt"
CONSTRAINTS = HERE / "constraints.txt"
OLDEST = (3, 11)
EXTRAS = ["", "workshop", "test"]  # each has all of those before it
FOLDERS = {"test": "tests", "workshop": "workshop"}  # commands that are a folder's __main__.py


def main(arguments):
    if sys.version_info < OLDEST:
        sys.exit(
            f"Python 3.11 이상이 필요합니다. 지금 버전: {sys.version.split()[0]}\n"
            "Windows와 macOS: https://www.python.org/downloads 에서 새 버전을 설치하세요.\n"
            "Ubuntu와 Debian: sudo apt install python3.12 python3.12-venv"
        )
    command, *rest = arguments or ["lab"]
    if command in ("-h", "--help"):
        print(__doc__)
        return 0
    if command.startswith("-"):  # options of lab
        command, rest = "lab", arguments
    if command == "wheels":
        return wheels()
    set_up("test" if command in ("lite", "test-lite") else command if command in FOLDERS else "")
    environment = {
        **os.environ,
        "PYTHONUTF8": "1",
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    if command in ("lite", "test-lite"):
        return run([PYTHON, HERE / "lite", command, *rest], environment)
    if command in FOLDERS:
        return run([PYTHON, HERE / FOLDERS[command], *rest], environment)
    # -P: the installed package, not the folder this file lies in
    return run([PYTHON, "-P", "-m", "chatkit", command, *rest], environment)


def run(command, environment):
    with subprocess.Popen([str(part) for part in command], cwd=HERE, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the process got it too and decides itself


def set_up(extra):
    """Install into .venv what is not there yet; an interrupted set-up is made anew, an outdated one renewed."""
    installed = STAMP.read_text(encoding="utf-8").splitlines() if PYTHON.exists() and STAMP.exists() else [""]
    enough = {fingerprint(larger) for larger in EXTRAS[EXTRAS.index(extra) :]}
    if installed[0] == sys.version and installed[-1] in enough:
        return
    print("가상 환경(.venv)을 준비합니다. 처음 한 번은 1~2분 걸립니다.", flush=True)
    uv = shutil.which("uv")
    STAMP.unlink(missing_ok=True)
    if installed[0] != sys.version:
        make_venv(uv)
    target = f"{HERE}[{extra}]" if extra else str(HERE)
    options = ["--quiet", "--constraint", CONSTRAINTS, *offline(), target]
    tool = [uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install"]
    check([*tool, *options], "설치하지 못했습니다. 위의 오류와 인터넷 연결을 확인하고 같은 명령을 다시 실행하세요.")
    STAMP.write_text(f"{sys.version}\n{fingerprint(extra)}", encoding="utf-8")


def make_venv(uv):
    failed = "가상 환경을 만들지 못했습니다."
    if uv:
        check([uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV], failed)
        # uv brings no pip, and lesson 6 asks for it; where Python comes without ensurepip, everything else still works.
        subprocess.run([PYTHON, "-m", "ensurepip", "--default-pip"], capture_output=True)
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    check(
        [sys.executable, "-m", "venv", "--clear", VENV],
        f"{failed} Ubuntu와 Debian에서는 sudo apt install python{version}-venv 를 먼저 실행하세요.",
    )


def offline():
    """Install from the folder CHATKIT_WHEELS names, made by `start.py wheels`, and from nowhere else."""
    folder = os.environ.get("CHATKIT_WHEELS")
    if not folder:
        return []
    path = Path(folder).resolve()
    if not any(path.glob("*.whl")):
        sys.exit(f"CHATKIT_WHEELS 폴더에 설치 파일(*.whl)이 없습니다: {path}\npython start.py wheels 로 먼저 만드세요.")
    return ["--no-index", "--find-links", path]


def wheels():
    """Download everything that `test` needs, and what building this package needs, into ./wheels."""
    set_up("")
    folder = HERE / "wheels"
    check([PYTHON, "-m", "ensurepip", "--default-pip"], "pip을 준비하지 못했습니다.", quiet=True)
    download = [PYTHON, "-m", "pip", "download", "--quiet", "--dest", folder, "--constraint", CONSTRAINTS]
    check([*download, f"{HERE}[test]", "hatchling"], "내려받지 못했습니다. 인터넷 연결을 확인하세요.")
    for made_here in folder.glob("chat_completions_lessons-*"):
        made_here.unlink()
    print(f"{len(list(folder.iterdir()))}개 파일을 {folder} 에 모았습니다. CHATKIT_WHEELS=wheels 로 설치할 때 씁니다.")
    return 0


def fingerprint(extra):
    """Say what an installation was made of: whether anything that goes into it has changed since."""
    sources = [HERE / "pyproject.toml", CONSTRAINTS, *sorted((HERE / "chatkit").glob("*.[pt][yo]*"))]
    sources += sorted((HERE / "notebooks" / "recordings").rglob("*.json"))
    digest = hashlib.sha256(str(HERE).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{extra or 'lab'} {digest.hexdigest()}"


def check(command, hint, quiet=False):
    output = subprocess.DEVNULL if quiet else None
    if subprocess.call([str(part) for part in command], cwd=HERE, stdout=output) != 0:
        sys.exit(hint)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
