"""The generated parts of INSTRUCTOR.md: minutes, cuts, plans, errors shown on purpose, what to say at predictions."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course import PROJECT, Lesson, OutOfStep, Section, lessons

HERE = Path(__file__).resolve().parent
GUIDE = HERE / "INSTRUCTOR.md"
WORDS = HERE / "guide.toml"


def write() -> str:
    """Bring INSTRUCTOR.md in step with the lessons and return what was done.

    Raises:
        OutOfStep: guide.toml speaks of something that is not in the lessons, or leaves something out.
    """
    before = GUIDE.read_text(encoding="utf-8")
    after = filled(before)
    GUIDE.write_text(after, encoding="utf-8")
    return f"{GUIDE.name}: " + ("was in step with the lessons" if after == before else "brought in step")


def filled(text: str, project: Path = PROJECT, words: Path = WORDS) -> str:
    """Return the guide's text with every generated part made anew.

    Raises:
        OutOfStep: a mark in the text has no part, or the words and the lessons disagree.
    """
    course = lessons(project)
    said = tomllib.loads(words.read_text(encoding="utf-8"))
    parts = {
        "minutes": "\n\n".join(_minutes(lesson) for lesson in course),
        "cuts": _cuts(course, said["cuts"]),
        "plans": "\n\n".join(_plan(course, plan) for plan in said["plans"]),
        "errors": _errors(course),
        "predictions": "\n\n".join(_predictions(course, said["say"])),
    }

    def part(mark: re.Match[str]) -> str:
        if mark[1] not in parts:
            raise OutOfStep(f"no generated part is called {mark[1]}; there are {', '.join(parts)}")
        return f"<!-- generated: {mark[1]} -->\n\n{parts[mark[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->.*?<!-- end -->", part, text, flags=re.S)


def _minutes(lesson: Lesson) -> str:
    facts = lesson.facts
    rows = [_row(section) for section in lesson.sections]
    if lesson.exercises:
        rows.append(f"| | 연습, 확인 문제, 정리 | | | {lesson.exercises} | |")
    return "\n".join(
        [
            f"### {lesson.title}: {lesson.minutes}분(설명 {lesson.teaching}, 실습 {lesson.practice})",
            "",
            f"선수 강의: {facts['needs']} · 요청 {facts['requests']}번 · 실제 API: {facts['cost']}",
            "",
            "| 절 | 제목 | | 설명 | 실습 | 예측 · 바꿔 보기 · 일부러 내는 오류 |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _row(section: Section) -> str:
    kind = "선택" if section.optional else "핵심"
    doings = f"{len(section.predictions)} · {section.changes} · {len(section.failures)}"
    title = section.title.replace("|", "\\|")
    return f"| {section.id} | {title} | {kind} | {section.teaching} | {section.practice} | {doings} |"


def _cuts(course: list[Lesson], cuts: list[dict[str, str]]) -> str:
    rows, saved = ["| 차례 | 뺄 것 | 버는 시간 | 모두 | 대신 |", "|---|---|---|---|---|"], 0
    for number, cut in enumerate(cuts, 1):
        section = _section(course, cut["section"])
        title, minutes = section.title, section.minutes
        if "part" in cut:
            if cut["part"] not in section.optional_parts:
                raise OutOfStep(f"cuts: {section.id} has no optional part '{cut['part']}'")
            title, minutes = cut["part"], section.optional_parts[cut["part"]]
        saved += minutes
        rows.append(f"| {number} | {section.id} {title} | {minutes}분 | {saved}분 | {cut['reason']} |")
    return "\n".join(rows)


def _section(course: list[Lesson], wanted: str) -> Section:
    for lesson in course:
        for section in lesson.sections:
            if section.id == wanted:
                return section
    raise OutOfStep(f"guide.toml names section {wanted}, which no lesson has")


def _plan(course: list[Lesson], plan: dict[str, Any]) -> str:
    clock, end = (datetime.datetime.strptime(plan[name], "%H:%M") for name in ("start", "end"))
    rows = ["| 때 | 분 | 할 일 |", "|---|---|---|"]
    for step in plan["steps"]:
        text, minutes = _step(course, step)
        rows.append(f"| {clock:%H:%M} | {minutes} | {text} |")
        clock += datetime.timedelta(minutes=minutes)
    if clock > end:
        raise OutOfStep(f"plan {plan['name']}: it ends at {clock:%H:%M}, after {plan['end']}: take something out")
    rows.append(f"| {clock:%H:%M} | | 끝({plan['end']}까지 {(end - clock).seconds // 60}분 남음) |")
    return f"### {plan['name']}({plan['start']}–{plan['end']})\n\n" + "\n".join(rows)


def _step(course: list[Lesson], step: dict[str, Any]) -> tuple[str, int]:
    if "section" in step:
        section = _section(course, step["section"])
        return f"{section.id} {section.title}", section.minutes
    if "exercises" in step:
        return f"{step['exercises']}강 연습과 확인 문제", course[step["exercises"] - 1].exercises
    return step["text"], step["minutes"]


def _errors(course: list[Lesson]) -> str:
    rows = ["| 절 | 오류 | 마지막 줄 |", "|---|---|---|"]
    for lesson in course:
        for section in lesson.sections:
            for failure in section.failures:
                message = failure.message.replace("|", "\\|").replace("`", "'")
                short = message if len(message) <= 90 else message[:90] + "…"
                rows.append(f"| {section.id} | `{failure.name}` | `{short}` |")
    return "\n".join(rows)


def _predictions(course: list[Lesson], say: dict[str, str]) -> Iterator[str]:
    left = dict(say)
    for lesson in course:
        yield f"### {lesson.title}"
        for section in lesson.sections:
            for prediction in section.predictions:
                if prediction.key not in left:
                    raise OutOfStep(f"guide.toml has nothing to say at {section.id}: {prediction.key}")
                choices = " ".join(f"({letter}) {choice}" for letter, choice in prediction.choices.items())
                yield (
                    f"**{section.id}** {prediction.question}\n\n"
                    f"- {choices}\n- 정답 ({prediction.answer}). **할 말:** {left.pop(prediction.key)}"
                )
    if left:
        raise OutOfStep(f"guide.toml speaks of predictions that no lesson asks: {', '.join(left)}")
