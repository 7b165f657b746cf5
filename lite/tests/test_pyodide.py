"""Every lesson and solution under the site's own Python, in Node: it shows what is saved, and nothing goes out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from place import PROJECT

from chatkit import notebooks

RUN = Path(__file__).resolve().parent.parent / "run_lessons.mjs"
BOOKS = [*notebooks.lessons(PROJECT), *sorted((PROJECT / "solutions").glob("*.ipynb"))]
every_book = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)


@pytest.fixture(scope="session")
def lines(site) -> list[dict[str, Any]]:
    """What the Node program says of all notebooks, which are the originals."""
    command = ["node", str(RUN), str(site), *map(str, BOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr[-3_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def attempts(lines) -> list[str]:
    return lines[-1]["attempts"]


@pytest.fixture
def cells(lines, book) -> list[tuple[Any, dict[str, Any]]]:
    """Each code cell as saved, and what became of it."""
    saved = notebooks.read(book).cells
    ran = [line for line in lines if line.get("notebook") == book.name]
    assert [line["cell"] for line in ran] == [i for i, cell in enumerate(saved) if cell.cell_type == "code"]
    return [(saved[line["cell"]], line) for line in ran]


@every_book
def test_a_cell_fails_exactly_where_it_is_tagged(cells):
    for cell, ran in cells:
        expected = cell.metadata.get("chatkit", {}).get("raises")
        raised = (
            re.search(r"\w+(?=\W*$)", ran["ename"])[0] if "ename" in ran else None
        )  # <class 'openai.NotFoundError'>
        assert raised == expected, f"cell {ran['cell']}: {ran.get('evalue')}"


@every_book
def test_a_cell_prints_and_returns_what_is_saved(cells):
    for cell, ran in cells:
        if not {"nbval-skip", "nbval-ignore-output"} & set(cell.metadata.get("tags", [])):
            assert printed(ran) == saved_text(cell), f"cell {ran['cell']}"
            assert results(ran) == saved_results(cell), f"cell {ran['cell']}"


def test_nothing_is_asked_of_the_network(attempts):
    assert attempts == []


def printed(ran) -> str:
    return "".join(text for kind, *rest in ran["outputs"] if kind == "stream" for text in rest[1:])


def saved_text(cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def results(ran) -> list[dict[str, str]]:
    found = [rest[1] for kind, *rest in ran["outputs"] if kind == "result"]
    return [shown for shown in map(comparable, found) if shown]


def saved_results(cell) -> list[dict[str, str]]:
    found = [output.data for output in cell.outputs if output.output_type == "execute_result"]
    return [shown for shown in map(comparable, found) if shown]


def comparable(data) -> dict[str, str]:
    """Return what is compared of an output; a picture's text and table stand for it, as in nbval's comparison."""
    return {kind: "".join(value) for kind, value in data.items() if kind.startswith("text/")}
