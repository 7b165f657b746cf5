"""The learner's JupyterLab: a work copy of the lessons, Korean, readable, apart from their own settings."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from chatkit import notebooks
from chatkit.messages import say

_ASSETS = ("images", "data")
# Hangul is wider and denser than Latin: body text a step larger, lines no longer than the eye follows.
_SIZES = {False: ("15px", "14px", "62rem"), True: ("21px", "20px", "84rem")}


def open_lab(project: Path, wanted: str, *, projector: bool, browser: bool, extra: list[str]) -> int:
    """Open a lesson's work copy in JupyterLab and return its exit code."""
    lesson = notebooks.find(project, wanted)
    work = project / "work"
    prepare(project)
    configure(work / ".jupyter", projector=projector)
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={work}",
        f"--LabApp.default_url=/lab/tree/{lesson.name}",
        "--LabApp.custom_css=True",
        *([] if browser else ["--ServerApp.open_browser=False"]),
        # A container's only user is often root; JupyterLab would refuse to start.
        *(["--ServerApp.allow_root=True"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),
        *extra,
    ]
    print(say("lab_opening", lesson=lesson.stem), flush=True)
    with subprocess.Popen(command, env=environment(work), cwd=work) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:
                continue  # JupyterLab got it too and asks whether to stop


def environment(work: Path) -> dict[str, str]:
    """Return the environment JupyterLab starts in: UTF-8, and settings of its own below the work copy."""
    return {**os.environ, "PYTHONUTF8": "1", "JUPYTER_CONFIG_DIR": str(work / ".jupyter")}


def prepare(project: Path) -> None:
    """Copy the lessons that the work folder does not have yet; what is there stays as it is."""
    work = project / "work"
    for lesson in notebooks.lessons(project):
        if not (work / lesson.name).exists():
            _copy(lesson, work)


def reset(project: Path, wanted: str) -> tuple[Path, Path | None]:
    """Put one lesson of the work copy back; return it and where the old notebook is kept, if there was one."""
    lesson = notebooks.find(project, wanted)
    work = project / "work"
    kept = None
    if (work / lesson.name).exists():
        kept = _aside(work / lesson.name)
        recordings = work / "recordings" / lesson.stem
        if recordings.is_dir() and not _same(recordings, lesson.parent / "recordings" / lesson.stem):
            _aside(recordings)
    _copy(lesson, work)
    return work / lesson.name, kept


def _copy(lesson: Path, work: Path) -> None:
    target = work / "recordings" / lesson.stem
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(lesson.parent / "recordings" / lesson.stem, target)
    for name in _ASSETS:
        if (lesson.parent / name).is_dir():
            shutil.copytree(lesson.parent / name, work / name, dirs_exist_ok=True)
    for page in lesson.parent.glob("*.md"):
        shutil.copy2(page, work / page.name)
    for script in lesson.parent.glob("*.py"):
        if not (work / script.name).exists():  # a learner makes the bot their own
            shutil.copy2(script, work / script.name)
    for solution in notebooks.solutions(lesson.parent.parent, lesson.stem):
        (work / "solutions").mkdir(exist_ok=True)
        shutil.copy2(solution, work / "solutions" / solution.name)
    # Without its outputs: a learner is asked to predict them.
    notebooks.write_unrun(lesson, work / lesson.name)


def _aside(path: Path) -> Path:
    number = 1
    while (old := path.with_name(f"{path.stem}_old{number}{path.suffix}")).exists():
        number += 1
    return path.rename(old)


def _same(left: Path, right: Path) -> bool:
    names = _names(left)
    return names == _names(right) and not any(filecmp.cmpfiles(left, right, names, shallow=False)[1:])


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def configure(folder: Path, *, projector: bool) -> None:
    """Write JupyterLab's defaults; what a learner changes in its menus goes beside them and wins."""
    text, code, width = _SIZES[projector]
    defaults: dict[str, Any] = {
        "@jupyterlab/translation-extension:plugin": {"locale": "ko_KR"},
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
        "@jupyterlab/apputils-extension:themes": {"overrides": {"content-font-size1": text, "code-font-size": code}},
        "@jupyterlab/notebook-extension:tracker": {"codeCellConfig": {"lineWrap": True}},
    }
    css = f".jp-Notebook-cell {{ max-width: {width}; margin-left: auto; margin-right: auto; }}\n"
    for path, content in {
        folder / "labconfig" / "default_setting_overrides.json": json.dumps(defaults, indent=2),
        folder / "custom" / "custom.css": css,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
