"""The browser edition: `python lite lite [FOLDER]` builds it, `python lite test-lite [...]` builds it and checks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import build

PROJECT = Path(__file__).resolve().parent.parent


def main(command: str, *arguments: str) -> int:
    failed = build.main(list(arguments) if command == "lite" else [])
    if failed or command == "lite":
        return failed
    # -P: the installed chatkit, as in all other checks
    tests = [sys.executable, "-P", "-m", "pytest", "-q", "--durations=5", *(arguments or ["lite/tests"])]
    return subprocess.call(tests, cwd=PROJECT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
