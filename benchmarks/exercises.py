"""Measure what judging a request costs: `python benchmarks/exercises.py [--quick] [--json FILE]`.

Each step of the lessons' exercises judges a request with twenty messages, first and again. Their rules are compiled
when a cell begins, before any request is sent.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

from replay import MODEL, ROOT, Row, body, report, row, seconds

from chatkit import exercises, notebooks

BAR_MS = 5.0


def judging(step: exercises.Step) -> Callable[[], object]:
    asked = body("라면은 왜 바다에 뜨나요? " * 40, reasoning_effort="none")
    asked["messages"] = [{"role": "system", "content": "당신은 관제사입니다. " * 20}, *asked["messages"]] * 10

    def judge() -> object:
        seen = exercises.view(asked)
        return exercises.refusal(seen), exercises.marks(step, seen)

    return judge


def rows(rounds: int) -> list[Row]:
    lessons = [path.parent / "recordings" / path.stem for path in notebooks.lessons(ROOT)]
    bank = [exercise for lesson in lessons for exercise in exercises.every(lesson)]
    steps = [step for exercise in bank for step in exercise.steps]
    prepared = [1_000 * seconds(partial(exercises.prepare, exercise)) for exercise in bank]
    first = [1_000 * seconds(judging(step), 1) for step in steps]
    again = [1_000 * statistics.median(seconds(judging(step), 1) for _ in range(rounds)) for step in steps]
    return [
        row("compile an exercise's rules, slowest", max(prepared), "ms", note=f"{len(bank)} exercises"),
        row("judge a request, the first time, slowest step", max(first), "ms", BAR_MS, f"{len(steps)} steps"),
        row("judge a request, again, slowest step", max(again), "ms", BAR_MS),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for trying it out")
    options = parser.parse_args()
    report(f"Python {platform.python_version()}, {MODEL}", rows(20 if options.quick else 200), options.json)


if __name__ == "__main__":
    main()
