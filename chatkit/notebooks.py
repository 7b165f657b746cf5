"""Find, read, run and save the lessons' notebooks."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatkit.errors import ChatkitError
from chatkit.messages import say

Notebook = Any
Cell = Any
Progress = Callable[[int, int], object]


def _quiet(_done: int, _total: int) -> None:
    pass


def originals(start: Path | None = None) -> Path:
    """Return the project folder, the nearest one upward with `notebooks/recordings`.

    Raises:
        ChatkitError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks" / "recordings").is_dir():
            return folder
    raise ChatkitError(say("no_originals", cwd=here))


def lessons(project: Path) -> list[Path]:
    """Return the lessons in their order."""
    return sorted((project / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def find(project: Path, wanted: str) -> Path:
    """Return a lesson by number (`2`, `02`) or name.

    Raises:
        ChatkitError: there is no such lesson.
    """
    known = lessons(project)
    name = wanted.removesuffix(".ipynb")
    for path in known:
        if name in (path.stem, path.stem[:2], path.stem[:2].lstrip("0")):
            return path
    raise ChatkitError(say("lesson_unknown", got=wanted, known=", ".join(path.stem for path in known)))


def solutions(project: Path, lesson: str) -> list[Path]:
    return sorted((project / "solutions").glob(f"{lesson}_solutions.ipynb"))


def read(path: Path) -> Notebook:
    import nbformat

    return nbformat.read(path, as_version=4)


def text_of(notebook: Notebook) -> str:
    """Return a notebook as the project saves it: no widget views or state, no timing, one newline at the end.

    A view without its state shows an error in place of the text beside it, and has another id in every run.
    """
    import nbformat

    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def write_unrun(path: Path, target: Path) -> None:
    """Copy a notebook as if no cell had been run yet."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    target.write_text(text_of(notebook), encoding="utf-8")


@dataclass(frozen=True)
class Variant:
    """A change that a lesson offers: `replace` in a cell's source becomes `replacement`."""

    cell: int
    source: str
    raises: str | None


def variants(notebook: Notebook) -> Iterator[Variant]:
    """Yield the offered changes of a notebook, from the cells' `chatkit.variants`.

    Raises:
        ValueError: the text to replace does not stand in the cell, or the change changes nothing.
    """
    for index, cell in enumerate(notebook.cells):
        for offer in cell.metadata.get("chatkit", {}).get("variants", []):
            changed = cell.source.replace(offer["replace"], offer["with"])
            if changed == cell.source:
                raise ValueError(f"cell {index}: the variant's text is not there: {offer['replace']!r}")
            yield Variant(index, changed, offer.get("raises"))


class Runner:
    """Runs a notebook in a fresh kernel, cell by cell, as nbclient does."""

    def __init__(self, notebook: Notebook, folder: Path, environment: Mapping[str, str]) -> None:
        from nbclient import NotebookClient

        # What a run solves is nobody's progress.
        self._environment = {**os.environ, "PYTHONUTF8": "1", "CHATKIT_PROGRESS": "", **environment}
        self._recording = environment.get("CHATKIT_MODE") == "record"
        self._client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            coalesce_streams=True,
            store_widget_state=False,
            record_timing=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
        )
        self.notebook = notebook

    def run(self, progress: Progress = _quiet, *, with_variants: bool = False) -> None:
        """Run all cells in order; a cell with offered changes is also run with each, then again as it is.

        Raises:
            nbclient.exceptions.CellExecutionError: a cell fails that should not.
            AssertionError: a cell or an offered change does not end in the error its `raises` names.
        """
        if sys.platform == "win32":  # ZMQ needs the selector loop there
            asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
        asyncio.run(self._run(progress, with_variants))

    async def _run(self, progress: Progress, with_variants: bool) -> None:
        offered = list(variants(self.notebook)) if with_variants else []
        total = len(self.notebook.cells)
        async with self._client.async_setup_kernel(env=self._environment):
            for index, cell in enumerate(self.notebook.cells):
                progress(index, total)
                expected = cell.metadata.get("chatkit", {}).get("raises")
                if self._recording and expected == "MissingRecording":
                    continue  # a miss shown on purpose must stay one
                await self._client.async_execute_cell(cell, index)
                if cell.cell_type == "code":
                    _expect_error(cell, expected, f"cell {index}")
                mine = [variant for variant in offered if variant.cell == index]
                for variant in mine:
                    await self._try(cell, variant)
                if mine:
                    await self._client.async_execute_cell(cell, index)
            progress(total, total)

    async def _try(self, cell: Cell, variant: Variant) -> None:
        tried = type(cell)(cell, source=variant.source, metadata={"tags": ["raises-exception"]}, outputs=[])
        await self._client.async_execute_cell(tried, variant.cell)
        _expect_error(tried, variant.raises, f"cell {variant.cell}, variant {variant.source!r}")


def _expect_error(cell: Cell, expected: str | None, where: str) -> None:
    errors = [output for output in cell.outputs if output.output_type == "error"]
    name = errors[0].ename if errors else None
    if name != expected:
        said = f"{name}: {errors[0].evalue}" if errors else "no error"
        raise AssertionError(f"{where}: expected {expected or 'no error'}, got {said}")


def executed(
    path: Path,
    environment: Mapping[str, str],
    progress: Progress = _quiet,
    *,
    variant_environment: Mapping[str, str] | None = None,
    with_variants: bool = True,
) -> Notebook:
    """Return a notebook run from top to bottom in its own folder, its variants tried in a second kernel.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails that should not.
        AssertionError: a cell or an offered change does not end in the error its `raises` names.
    """
    notebook = read(path)
    Runner(notebook, path.parent, environment).run(progress)
    if with_variants and any(True for _variant in variants(notebook)):
        Runner(read(path), path.parent, variant_environment or environment).run(with_variants=True)
    return notebook
