"""The package as a whole: its surface, its weight, the direction of its imports, its sentences."""

from __future__ import annotations

import ast
import functools
import os
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatkit
from chatkit.messages import KO, say

PACKAGE = Path(chatkit.__file__).parent
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.glob("*.py"))}


def statements(parent: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(parent):
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from statements(node, inside_functions=inside_functions)


def imports(name: str, *, inside_functions: bool) -> Iterator[str]:
    """Yield the dotted names that a module imports."""
    for node in statements(MODULES[name], inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_the_top(name: str) -> set[str]:
    """Return the packages that a module imports as it is imported itself."""
    return {full.partition(".")[0] for full in imports(name, inside_functions=False)}


def from_chatkit(name: str) -> set[str]:
    """Return the modules of chatkit that a module imports, wherever it does so."""
    parts = [full.split(".") for full in imports(name, inside_functions=True)]
    return {part[1] for part in parts if part[0] == "chatkit"} & set(MODULES)


# the surface


def test_all_is_what_the_lazy_table_offers() -> None:
    assert chatkit.__all__ == sorted(chatkit._HOMES) == dir(chatkit)


@pytest.mark.parametrize("name", chatkit.__all__)
def test_every_name_leads_somewhere(name: str) -> None:
    chatkit.__dict__.pop(name, None)
    found = getattr(chatkit, name)
    assert (getattr(found, "__module__", None) or found.__name__) == f"chatkit.{chatkit._HOMES[name]}"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'chatkit' has no attribute 'chat'"):
        chatkit.chat  # noqa: B018


def test_an_import_of_chatkit_is_light() -> None:
    heavy = [
        "IPython",
        "openai",
        "tiktoken",
        "genai_prices",
        "ipywidgets",
        "httpx2",
        "nbclient",
        "nbformat",
        "hypothesis",
    ]
    code = f"import sys, chatkit; print([name for name in {heavy!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


# the direction of imports


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"display", "widget"}))
def test_only_display_and_widget_import_the_notebook_at_the_top(name: str) -> None:
    assert not at_the_top(name) & {"IPython", "ipywidgets"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_heavy_packages_wait_for_their_function(name: str) -> None:
    heavy = {"openai", "tiktoken", "genai_prices", "nbclient", "nbformat", "tqdm", "dotenv"}
    assert not at_the_top(name) & heavy


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("errors", set()),
        ("messages", set()),
        ("recordings", {"errors", "messages"}),
        ("replay", {"recordings"}),
        ("browser", {"errors", "messages"}),
        ("network", {"browser", "errors", "messages"}),
        ("models", {"errors", "messages"}),
        ("markdown", set()),
        ("display", {"errors", "markdown", "messages"}),
        ("figures", {"errors", "messages"}),
        ("advice", {"errors", "messages"}),
        ("widget", {"advice", "display", "errors", "markdown", "messages", "tokens"}),
        ("tokens", {"errors", "figures", "messages", "models"}),
        ("faults", {"errors", "figures", "messages", "recordings", "replay", "session"}),
        ("misses", {"errors", "messages", "recordings"}),
        ("recorder", {"recordings"}),
    ],
)
def test_a_module_imports_only_what_is_below_it(name: str, allowed: set[str]) -> None:
    assert from_chatkit(name) <= allowed


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"__main__"}))
def test_nobody_imports_the_command_line(name: str) -> None:
    assert "cli" not in from_chatkit(name)


def test_no_module_imports_itself_round_about() -> None:
    below = {name: from_chatkit(name) - {"__init__"} for name in MODULES if name not in ("__init__", "__main__")}
    while below:
        leaves = {name for name, uses in below.items() if not uses & below.keys()}
        assert leaves, f"a circle among {sorted(below)}"
        below = {name: uses for name, uses in below.items() if name not in leaves}


# exceptions


@pytest.mark.parametrize("name", ["MissingRecording", "NetworkBlocked", "BudgetExceeded"])
def test_every_exception_is_of_one_family_and_none_of_the_sdks(name: str) -> None:
    import openai

    kind = getattr(chatkit, name)
    assert issubclass(kind, chatkit.ChatkitError)
    assert not issubclass(kind, openai.OpenAIError | OSError | ValueError)


# sentences


@functools.cache
def literals() -> set[str]:
    """Return every string in chatkit, with {} for what an f-string fills in."""
    found = set()
    for name in MODULES.keys() - {"messages"}:
        for node in ast.walk(MODULES[name]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.JoinedStr):
                found.add("".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return found


MODE_BANNERS = {f"banner_{mode}" for mode in ("replay", "auto", "live", "record")}


@pytest.mark.parametrize("name", KO)
def test_every_sentence_is_used(name: str) -> None:
    assert ("banner_{}" if name in MODE_BANNERS else name) in literals()


@pytest.mark.parametrize("name", KO)
def test_every_sentence_formats(name: str) -> None:
    fields = {field for _text, field, _spec, _how in string.Formatter().parse(KO[name]) if field}
    said = say(name, **{field: f"<{field}>" for field in fields})
    assert all(f"<{field}>" in said for field in fields)
    assert "{" not in said


def test_every_sentence_asked_for_exists_and_gets_its_values() -> None:
    for name in MODULES.keys() - {"messages"}:
        for node in ast.walk(MODULES[name]):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"):
                continue
            first = node.args[0]
            if not isinstance(first, ast.Constant) or any(keyword.arg is None for keyword in node.keywords):
                continue  # a name made at run time, or values from a mapping: seen by the tests that print it
            fields = {field for _text, field, _spec, _how in string.Formatter().parse(KO[first.value]) if field}
            assert {keyword.arg for keyword in node.keywords} == fields, f"{name}: {first.value}"
