"""The lessons as an instructor sees them: minutes, predictions, offered changes and errors shown on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatkit import notebooks

PROJECT = Path(__file__).resolve().parent.parent
ROOM = PROJECT / "our-room"  # what is made for one workshop: slides, seat keys, cards, spending; never committed
PREDICTION = "**예측해 보세요.**"
CHANGE = "**바꿔 보세요.**"
_FACTS = re.compile(
    r"⏱ (?P<minutes>\d+)분\(설명 (?P<teaching>\d+)분, 실습 (?P<practice>\d+)분, 추정\) · 선수 강의: (?P<needs>.+) · "
    r"요청 (?P<requests>\d+)번 · 실제 API 예상 비용: (?P<cost>.+) · 기준일: (?P<as_of>\S+)"
)
_SECTION = re.compile(r"## (?P<id>\d\.\d) (?P<title>.+) · (?P<kind>핵심|선택) · (?P<minutes>\d+)분")
_OPTIONAL = re.compile(r"^### 선택 · (.+) · (\d+)분$", flags=re.M)
_ANSWER = re.compile(r"정답은 \(([가-라])\)")


class OutOfStep(Exception):
    """The lessons and what is said about them no longer agree."""


@dataclass(frozen=True)
class Prediction:
    """A question asked before a cell is run, its choices and the letter of the right one."""

    question: str
    choices: dict[str, str]
    answer: str

    @property
    def key(self) -> str:
        """Its last sentence, which names it in guide.toml."""
        return re.split(r"(?<=[.?!]) ", self.question)[-1]


@dataclass(frozen=True)
class Failure:
    """An error that a cell shows on purpose: its class and the message's first line."""

    name: str
    message: str


@dataclass(frozen=True)
class Section:
    """One numbered section of a lesson."""

    id: str
    title: str
    optional: bool
    minutes: int
    practice: int
    predictions: list[Prediction]
    changes: int
    failures: list[Failure]
    optional_parts: dict[str, int]

    @property
    def teaching(self) -> int:
        return self.minutes - self.practice


@dataclass(frozen=True)
class Lesson:
    """One lesson: what its first lines promise, and its sections."""

    name: str
    title: str
    promise: str
    minutes: int
    teaching: int
    practice: int
    facts: dict[str, str]
    sections: list[Section]

    @property
    def number(self) -> int:
        return int(self.name[:2])

    @property
    def exercises(self) -> int:
        """The minutes left for the exercises, the questions and the recap."""
        return self.minutes - sum(section.minutes for section in self.sections)


def lessons(project: Path = PROJECT) -> list[Lesson]:
    """Read all lessons, in their order.

    Raises:
        OutOfStep: a lesson is not in the form its facts are read from.
    """
    return [_lesson(path) for path in notebooks.lessons(project)]


def _lesson(path: Path) -> Lesson:
    cells = notebooks.read(path).cells
    title, promise, facts = [line for line in cells[0].source.splitlines() if line]
    found = _FACTS.fullmatch(facts)
    if not found:
        raise OutOfStep(f"{path.stem}: the third line of the first cell is not a line of facts: {facts}")
    minutes, teaching, practice = (int(found[name]) for name in ("minutes", "teaching", "practice"))
    parts = [(_heading(path, part), part) for part in _parts(cells)]
    in_sections = practice - (minutes - sum(int(heading["minutes"]) for heading, _part in parts))
    shares = _shared(max(in_sections, 0), [_doings(part) for _heading, part in parts])
    sections = [_section(heading, part, share) for (heading, part), share in zip(parts, shares, strict=True)]
    return Lesson(path.stem, title[2:], promise, minutes, teaching, practice, found.groupdict(), sections)


def at_headings(cells: list[Any]) -> Iterator[Any]:
    """Yield the cells, a Markdown cell with a `## ` heading in its middle as two."""
    for cell in cells:
        if cell.cell_type != "markdown":
            yield cell
            continue
        for source in re.split(r"\n+(?=## )", cell.source):
            yield type(cell)(cell, source=source)


def _parts(cells: list[Any]) -> Iterator[list[Any]]:
    """Yield the cells of each numbered section."""
    part: list[Any] = []
    for cell in at_headings(cells):
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            if part:
                yield part
            part = []
        if part or re.match(r"## \d", cell.source):
            part.append(cell)
    if part:
        yield part


def _heading(path: Path, part: list[Any]) -> re.Match[str]:
    line = part[0].source.splitlines()[0]
    found = _SECTION.fullmatch(line)
    if not found:
        raise OutOfStep(f"{path.stem}: expected '## N.N 제목 · 핵심|선택 · N분', got: {line}")
    return found


def _section(heading: re.Match[str], part: list[Any], practice: int) -> Section:
    text = _prose(part)
    return Section(
        id=heading["id"],
        title=heading["title"],
        optional=heading["kind"] == "선택",
        minutes=int(heading["minutes"]),
        practice=min(practice, int(heading["minutes"])),
        predictions=list(_predictions(heading["id"], text)),
        changes=text.count(CHANGE),
        failures=[failure for cell in part for failure in _failures(cell)],
        optional_parts={title: int(minutes) for title, minutes in _OPTIONAL.findall(text)},
    )


def _prose(part: list[Any]) -> str:
    return "\n\n".join(cell.source for cell in part if cell.cell_type == "markdown")


def _doings(part: list[Any]) -> int:
    """Count what a learner does in a section: predicts, changes a cell."""
    text = _prose(part)
    return text.count(PREDICTION) + text.count(CHANGE)


def _predictions(section: str, text: str) -> Iterator[Prediction]:
    for asked in text.split(PREDICTION)[1:]:
        question, *rest = asked.strip().split("\n\n")
        choices = dict(re.findall(r"^- \(([가-라])\) (.+)$", rest[0], flags=re.M))
        answer = _ANSWER.search(asked)
        if not answer or answer[1] not in choices:
            raise OutOfStep(f"{section}: no '정답은 (…)' for the prediction: {question}")
        yield Prediction(" ".join(question.split()), choices, answer[1])


def _failures(cell: Any) -> Iterator[Failure]:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield Failure(output.ename, (output.evalue.splitlines() or [""])[0])


def _shared(total: int, weights: list[int]) -> list[int]:
    """Share whole minutes out in proportion to the weights, the largest remainders first."""
    exact = [total * weight / (sum(weights) or 1) for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: exact[i] - shares[i], reverse=True)
    for i in by_remainder[: total - sum(shares)] if any(weights) else []:
        shares[i] += 1
    return shares
