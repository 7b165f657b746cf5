"""A learner's server on a hub: bring the lessons, then become `jupyterhub-singleuser`, lean.

The spawner starts this in place of `jupyterhub-singleuser`, on every kind of hub, as the learner. COURSE_REPOSITORY is
where the lessons are pulled from: a folder that learners can only read, or an address.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

COURSE = Path.home() / "course"
# Memory: a server without language servers and terminals, and an allocator that keeps less of what was given back.
LEAN = {
    "jupyterlab": True,
    "jupyter_lsp": False,
    "jupyter_server_terminals": False,
    "nbgitpuller": False,  # its command is used, not its page
    "notebook_shim": False,
}
_SERVE = "--serve"
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2", "PYTHONUTF8": "1"}


def main(arguments: list[str]) -> None:
    if arguments[:1] == [_SERVE]:
        serve(arguments[1:])
        return
    pull(os.environ["COURSE_REPOSITORY"], os.environ.get("COURSE_BRANCH", "main"))
    settings = open_course()
    os.environ.update(ENVIRONMENT, JUPYTER_CONFIG_DIR=str(settings), JUPYTER_RUNTIME_DIR=sockets())
    # Anew, for the allocator to read its setting, and without what the preparation has loaded.
    os.execv(sys.executable, [sys.executable, __file__, _SERVE, *options(), *arguments])


def serve(arguments: list[str]) -> None:
    # jsonschema does without it; for a check of addresses that no server makes it takes 15 MB a learner.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from jupyterhub.singleuser import main as singleuser

    singleuser(arguments)


def pull(repository: str, branch: str) -> None:
    """Merge what is new into the learner's copy; without a network the class goes on with what is there."""
    merge = [sys.executable, "-m", "nbgitpuller.pull", repository, branch, str(COURSE)]
    subprocess.run(merge, check=not (COURSE / "notebooks").is_dir(), timeout=300)


def open_course() -> Path:
    """Make the work copy of lessons that has no outputs yet, and return the folder of JupyterLab's settings."""
    from chatkit import lab

    lab.prepare(COURSE)
    lab.configure(COURSE / "work" / ".jupyter", projector=False)
    return COURSE / "work" / ".jupyter"


def sockets() -> str:
    """Return a folder for the kernels' sockets: a path that is short enough for one, and closed to others."""
    return tempfile.mkdtemp(prefix="learner-")


def options() -> list[str]:
    first = min(path.name for path in (COURSE / "work").glob("[0-9][0-9]_*.ipynb"))
    return [
        f"--ServerApp.root_dir={COURSE / 'work'}",
        f"--ServerApp.default_url=/lab/tree/{first}",
        f"--ServerApp.jpserver_extensions={LEAN}",
        "--LabApp.custom_css=True",
        # Sockets, not ports: thirty servers looking for free ports at the same time find the same ones.
        "--KernelManager.transport=ipc",
        "--LabApp.news_url=None",
        "--ServerApp.log_level=WARN",
        "--MappingKernelManager.cull_idle_timeout=3600",
        "--MappingKernelManager.cull_interval=300",
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
