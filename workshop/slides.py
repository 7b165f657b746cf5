"""Slides from a lesson: questions, code, output and pictures on the screen, the explanations as speaker notes.

The lesson carries no slide marks of its own. What a passage is says where it goes: a section opens a new column, a
prediction, a cell with its output or a table gets a slide, an answer or a change to try appears at a key press. A cell
that has a `slideshow.slide_type` all the same, as any notebook editor writes it, is taken at its word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course import CHANGE, PREDICTION, PROJECT, ROOM, at_headings

from chatkit import notebooks

HERE = Path(__file__).resolve().parent
_NUMBERED = re.compile(r"^(## \d\.\d .+?) · (핵심|선택) · (\d+분)$", flags=re.M)
_FOLDED = re.compile(r"<details>\s*<summary>.*?</summary>(.*?)</details>", flags=re.S)  # a key press unfolds it
_ANSWER = "정답은 ("
_SEEN = ("|", "!", ">", "- ", "1. ", "```", "<details")
_SKIPPED = ("%xmode", "chatkit.exercise(")  # the set-up; a card that says what the passage above it says
_LONGEST = 16  # lines of code on one slide


def write(wanted: str | None = None, target: Path = ROOM / "slides") -> list[Path]:
    """Write one HTML file a lesson, or that of one lesson, and return the files.

    Raises:
        chatkit.errors.ChatkitError: there is no such lesson.
    """
    found = [notebooks.find(PROJECT, wanted)] if wanted else notebooks.lessons(PROJECT)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for lesson in found:
        path = target / f"{lesson.stem}.html"
        path.write_text(page(lesson), encoding="utf-8")
        written.append(path)
    return written


def page(lesson: Path) -> str:
    """Return a lesson's slides as one HTML page that needs nothing beside it."""
    from nbconvert.exporters import SlidesExporter

    exporter = SlidesExporter(
        extra_template_basedirs=[str(HERE / "templates")],
        template_name="lesson_slides",
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    notebook = notebooks.read(lesson)
    notebook.cells = list(placed(notebook.cells))
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"slide-{number}"
    resources = {"metadata": {"name": lesson.stem, "path": str(lesson.parent)}}
    body, _resources = exporter.from_notebook_node(notebook, resources)
    return str(body)


def placed(cells: list[Any]) -> Iterator[Any]:
    """Yield the cells of the slides, each with its place in `slideshow.slide_type`."""
    numbered, waiting = False, 0
    for cell in at_headings(cells):
        if "slideshow" in cell.metadata:
            yield cell
        elif cell.cell_type == "markdown":
            waiting = 0
            heading = re.match(r"#+ ", cell.source)
            numbered = bool(_NUMBERED.match(cell.source)) if heading and heading[0] == "## " else numbered
            aside = not numbered and cell.source.startswith("풀이는 ")
            yield from _notes(cell, [cell.source]) if aside else _prose(cell, whole=not numbered)
        elif cell.source.startswith("chatkit.quiz(") and cell.outputs:
            yield from _question(cell)
        elif cell.source.startswith(_SKIPPED):
            yield _at("skip", cell)
        else:
            lines = len(cell.source.splitlines())
            yield _at("-" if 0 < waiting <= _LONGEST - lines else "subslide", _shown(cell))
            waiting = 0 if cell.outputs else waiting + lines


def _prose(cell: Any, *, whole: bool) -> Iterator[Any]:
    """Yield what of a passage is seen and what is said; all of it is seen outside of the numbered sections."""
    blocks = list(_blocks(cell.source))
    if whole or blocks[0].startswith("#"):
        kind = "slide" if re.match("##? ", blocks[0]) else "subslide"
        seen, *folded = _FOLDED.split(_NUMBERED.sub(r"\1 *\2 · \3*", cell.source))
        yield _at(kind, cell, seen)
        yield from (_at("fragment", cell, text) for text in folded if text.strip())
        return
    said: list[str] = []
    while blocks:
        block = blocks.pop(0)
        if block.startswith(PREDICTION):
            yield from _notes(cell, said)
            yield _at("subslide", cell, "\n\n".join([block, *blocks[:1]]))
            del blocks[:1]
        elif block.startswith(CHANGE):
            yield from _notes(cell, said)
            yield _at("fragment", cell, block)
        elif _ANSWER in block:
            yield _at("fragment", cell, _opening(block))
            said.append(block)
        elif block.startswith(_SEEN):
            lead = [said.pop()] if said and _ANSWER not in said[-1] else []
            yield from _notes(cell, said)
            yield _at("subslide", cell, "\n\n".join([*lead, block]))
        else:
            said.append(block)
    yield from _notes(cell, said)


def _blocks(source: str) -> Iterator[str]:
    """Yield the blocks between blank lines; a fence or a folded answer is one, whatever it holds."""
    held: list[str] = []
    for block in source.split("\n\n"):
        held.append(block)
        text = "\n\n".join(held)
        if text.count("```") % 2 == 0 and text.count("<details") == text.count("</details"):
            yield text.strip("\n")
            held = []
    if held:
        yield "\n\n".join(held)


def _opening(block: str) -> str:
    """Return a paragraph's first two sentences, never cut inside code, a link or a bracket."""
    taken = ""
    for number, sentence in enumerate(re.split(r"(?<=[.?!]) ", block)):
        taken = f"{taken} {sentence}".strip()
        if number and taken.count("`") % 2 == 0 and taken.count("[") == taken.count("]") and taken.count("**") % 2 == 0:
            break
    return taken


def _notes(cell: Any, said: list[str]) -> Iterator[Any]:
    if said:
        yield _at("notes", cell, "\n\n".join(said))
        said.clear()


def _at(place: str, cell: Any, source: str | None = None) -> Any:
    moved = type(cell)(cell, metadata={"slideshow": {"slide_type": place}})
    if source is not None:
        moved.source = source
    return moved


def _shown(cell: Any) -> Any:
    """Leave out what a saved widget shows: its view is not saved, and its name in text says nothing to a room."""
    seen = [output for output in cell.outputs if not _is_widget(output)]
    return type(cell)(cell, outputs=seen)


def _question(cell: Any) -> Iterator[Any]:
    """Yield a question of `chatkit.quiz` and, at a key press, its answer with the reasons."""
    import nbformat

    seen, *folded = _FOLDED.split(cell.outputs[0].data["text/html"])
    passage = nbformat.v4.new_markdown_cell()
    yield _at("subslide", passage, _markdown(seen))
    yield from (_at("fragment", passage, _markdown(text)) for text in folded if "<li>" in text)


def _markdown(shown: str) -> str:
    """Return the HTML of a question as Markdown: nbconvert takes a page's own HTML in a passage apart."""
    for tag, mark in {"b": "**", "/b": "**", "code": "`", "/code": "`", "ul": "\n", "li": "\n- "}.items():
        shown = shown.replace(f"<{tag}>", mark)
    return html.unescape(re.sub(r"<[^>]*>", "", shown))


def _is_widget(output: Any) -> bool:
    import ipywidgets

    text = output.get("data", {}).get("text/plain", "")
    name = text.partition("(")[0]
    return set(output.get("data", {})) == {"text/plain"} and hasattr(ipywidgets, name) and text.endswith((")", "…"))
