"""The surroundings every check runs in, whatever the machine, the environment or a `.env` says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BLOCK = PROJECT / "tests" / "network_block"
_FOREIGN = ("CHATKIT_", "OPENAI_", "JUPYTER", "IPYTHON", "NBVAL", "PYTEST_", "PYTHON", "TIKTOKEN", "DATA_GYM", "XDG_")
# The date may be set, to see today what the date checks will say.
_KEPT = {"CHATKIT_TODAY"}


def environment(home: Path) -> dict[str, str]:
    """Return an environment with a home of its own, no key, no base URL, replay at once."""
    kept = {n: v for n, v in os.environ.items() if n in _KEPT or not n.upper().startswith(_FOREIGN)}
    ours = {
        "CHATKIT_MODE": "replay",
        "CHATKIT_SPEED": "0",
        "CHATKIT_FPS": "0",
        "CHATKIT_PROGRESS": "",
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHONUTF8": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    return {**kept, **ours}


def blocked(environment: dict[str, str], log: Path) -> dict[str, str]:
    """Return the environment with every Python in it cut off from the network; attempts go to `log`."""
    return {**environment, "PYTHONPATH": str(BLOCK), "NETWORK_BLOCK_LOG": str(log)}


def copy_lessons(folder: Path) -> Path:
    """Copy the notebooks where no `.env` of the project or above it is found, and return the copy's root.

    An empty `.env` ends the upward search, an empty pytest.ini that for settings.
    """
    for name in ("notebooks", "solutions"):
        ignored = shutil.ignore_patterns(".env*", ".ipynb_checkpoints")
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    (folder / ".env").touch()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return folder
