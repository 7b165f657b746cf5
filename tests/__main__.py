"""All checks: `python tests` (every gate) or `python tests ARGUMENTS` (pytest alone)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from isolation import PROJECT, blocked, copy_lessons, environment

SOURCES = ["chatkit", "notebooks", "tests", "benchmarks", "lite", "workshop", ".ci", "start.py"]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        isolated = environment(home)
        if arguments:
            return run(["pytest", *arguments], isolated)
        failed = [name for name, check in checks(Path(folder), isolated) if not timed(name, check)]
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return 1 if failed else 0


def checks(folder, isolated):
    """Yield each check's name and how to run it, quick ones first."""
    lessons = copy_lessons(folder / "lessons")
    attempts, usage = folder / "network.log", folder / "usage"
    usage.mkdir()
    offline = blocked({**isolated, "CHATKIT_USAGE_LOG": str(usage)}, attempts)
    books = sorted(map(str, [*lessons.glob("notebooks/*.ipynb"), *lessons.glob("solutions/*.ipynb")]))
    strict = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    nbval = ["pytest", *strict, "-q", "-p", "no:cacheprovider", "-p", "kernels", f"-c{lessons / 'pytest.ini'}", *books]
    offline["PYTHONPATH"] += os.pathsep + str(PROJECT / "tests")

    yield "ruff", lambda: run(["ruff", "check", *SOURCES], isolated)
    yield "ruff format", lambda: run(["ruff", "format", "--check", *SOURCES], isolated)
    yield "mypy", lambda: run(["mypy"], isolated)
    yield "unit tests and notebook gates", lambda: run(["pytest", "-q", "-n", "auto", "--dist", "worksteal"], isolated)
    notebooks = "notebooks, network blocked: every saved output (nbval), every offered change"
    yield notebooks, lambda: run_together([nbval, ["variants", *books]], offline, folder)
    yield "no attempt to reach the network", lambda: network_untouched(attempts)
    yield "chatkit verify", lambda: run(["chatkit", "verify", "--usage", str(usage)], isolated)


def network_untouched(log: Path) -> int:
    if log.exists():
        print(log.read_text(encoding="utf-8"))
    return int(log.exists())


def run(command: list[str], env: dict[str, str]) -> int:
    # -P: the installed chatkit is tested, as a learner has it, not the folder
    return subprocess.call([sys.executable, "-P", "-m", *command], cwd=PROJECT, env=env)


def run_together(commands: list[list[str]], env: dict[str, str], folder: Path) -> int:
    """Run commands side by side, each mostly waiting for a kernel, and print what each said in turn."""
    logs = [folder / f"{command[0]}.log" for command in commands]
    started = []
    for command, log in zip(commands, logs, strict=True):
        with log.open("wb") as output:
            words = [sys.executable, "-P", "-m", *command]
            started.append(subprocess.Popen(words, cwd=PROJECT, env=env, stdout=output, stderr=subprocess.STDOUT))
    codes = [process.wait() for process in started]
    for log in logs:
        print(log.read_text(encoding="utf-8", errors="replace"), end="", flush=True)
    return max(codes)


def timed(name: str, check) -> bool:
    print(f"\n=== {name}", flush=True)
    start = time.perf_counter()
    code = check()
    print(f"--- {name}: {'ok' if code == 0 else 'FAILED'} ({time.perf_counter() - start:.1f} s)", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
