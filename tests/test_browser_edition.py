"""What the browser edition rests on, as far as a file shows it: `python start.py test-lite` tries it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
from isolation import PROJECT
from test_notebooks import BOOKS, cells, every_book
from test_package import MODULES, from_chatkit, imports

import chatkit

# Pyodide has these modules and cannot do what they are for. A lock is no thread: `threading` itself is harmless.
IMPOSSIBLE = {"concurrent", "multiprocessing", "socket", "socketserver", "subprocess", "tkinter"}
# Two are the site's own wheels, and chatkit.browser puts another package in the place of the third.
PROVIDED = {"chatkit", "climate", "tiktoken"}


def pinned(name: str) -> dict[str, str]:
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(" ;")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pairs}


IN_THE_PAGE = pinned("lite/constraints.txt")


def can_be_imported(module: str) -> bool:
    if module in sys.stdlib_module_names:
        return module not in IMPOSSIBLE
    packages = metadata.packages_distributions().get(module, [])
    return any(re.sub(r"[-_.]+", "-", package).lower() in IN_THE_PAGE for package in packages)


def needed_in_replay() -> set[str]:
    """Return the modules of chatkit that a lesson can come to, and what those need as they are imported."""
    found: set[str] = set()
    waiting = {*chatkit._HOMES.values(), "widget"}
    while waiting:
        found |= waiting
        waiting = {below for name in waiting for below in from_chatkit(name)} - found
    return found - {"__init__"}


@pytest.mark.parametrize("name", sorted(needed_in_replay()))
def test_what_a_lesson_needs_of_chatkit_imports_only_what_a_page_has(name: str) -> None:
    """Inside functions too: what is there in a page alone is asked for by `browser` alone."""
    outside = {full.partition(".")[0] for full in imports(name, inside_functions=True)} - {"__future__"}
    allowed = PROVIDED | ({"js", "pyodide"} if name == "browser" else set())
    assert not [module for module in outside - allowed if not can_be_imported(module)]


@pytest.mark.parametrize("name", sorted(needed_in_replay() - {"display"}))
def test_no_thread_and_no_loop_is_started_for_a_lesson(name: str) -> None:
    """`display` starts one thread, and paints without it where there are none."""
    assert not {"Thread", "ThreadPoolExecutor", "asyncio.run", "to_thread", "run_in_executor"} & set(called(name))


def called(name: str) -> Iterator[str]:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            yield from (whole, whole.rpartition(".")[2])


@every_book
def test_a_cell_imports_only_what_a_page_has(path) -> None:
    for i, cell in cells(path, "code"):
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%xmode"))
        assert not re.search(r"^\s*[!%]", source, flags=re.M), f"cell {i}: a page has no shell"
        assert "asyncio.run(" not in source, f"cell {i}: a page's loop is running already: await"
        wrong = [name for name in imported(source) if not can_be_imported(name) and name not in PROVIDED]
        assert not wrong, f"cell {i}: {wrong}"


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_there_are_books_to_look_into() -> None:
    assert len(BOOKS) >= 12


def test_a_page_runs_the_versions_that_all_other_checks_run() -> None:
    everywhere = pinned("constraints.txt")
    assert {name: version for name, version in IN_THE_PAGE.items() if everywhere.get(name, version) != version} == {}


def test_a_page_has_what_chatkit_asks_for_and_a_page_can_have() -> None:
    lines = metadata.requires("chat-completions-lessons") or []
    asked = {re.split(r"[^\w-]", line)[0].lower() for line in lines if "extra ==" not in line}
    missing = asked - IN_THE_PAGE.keys()
    # The learner's own JupyterLab, the maintainer's commands, and tiktoken, which a page has another of.
    assert missing == {
        *("ipykernel", "jupyter-client", "jupyterlab", "jupyterlab-language-pack-ko-kr", "nbclient"),
        *("packaging", "tiktoken", "tqdm"),
    }
