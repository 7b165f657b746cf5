"""Gates on the committed notebooks as files; what their cells do is checked by nbval and test_lessons.py."""

from __future__ import annotations

import json
import re

import pytest
from isolation import PROJECT

from chatkit import exercises, models, notebooks
from chatkit.messages import say

LESSONS = notebooks.lessons(PROJECT)
SOLUTIONS = sorted((PROJECT / "solutions").glob("*.ipynb"))
BOOKS = [*LESSONS, *SOLUTIONS]
MODEL_ID = re.compile(r"\b(?:gpt-\d|o\d-|chatgpt-)[A-Za-z0-9.-]*", re.ASCII)

every_book = pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path, kind):
    return [(i, cell) for i, cell in enumerate(notebooks.read(path).cells) if cell.cell_type == kind]


def ours(cell):
    return cell.metadata.get("chatkit", {})


@every_book
def test_cells_were_run_in_order_in_one_go(path):
    counted = enumerate(((i, cell.execution_count) for i, cell in cells(path, "code")), 1)
    wrong = [f"cell {i} has {count}, not {expected}" for expected, (i, count) in counted if count != expected]
    assert not wrong, f"{path.stem}: {'; '.join(wrong)}: run it from the top"


@every_book
def test_an_error_is_shown_exactly_where_a_cell_says_it_raises(path):
    for i, cell in cells(path, "code"):
        shown = [output.ename for output in cell.outputs if output.output_type == "error"]
        tagged = "raises-exception" in cell.metadata.get("tags", [])
        assert tagged == bool(shown), f"{path.stem}, cell {i}: tag and output disagree on whether it raises"
        assert shown == ([ours(cell)["raises"]] if "raises" in ours(cell) else []), f"{path.stem}, cell {i}"


@every_book
def test_no_output_escapes_the_comparison_without_a_written_reason(path):
    for i, cell in cells(path, "code"):
        escapes = {"nbval-skip", "nbval-ignore-output"} & set(cell.metadata.get("tags", []))
        inline = re.findall(r"#\s*NBVAL_(?!RAISES)\w+", cell.source)
        assert not inline, f"{path.stem}, cell {i}: use a tag with a reason, not {inline}"
        assert not escapes or ours(cell).get("reason"), f"{path.stem}, cell {i}: {escapes} needs chatkit.reason"


@every_book
def test_cells_are_small(path):
    for i, cell in cells(path, "code"):
        assert len(cell.source.splitlines()) <= 15, f"{path.stem}, cell {i}: more than 15 lines of code"
    for i, cell in cells(path, "markdown"):
        assert len(cell.source.split()) <= 120, f"{path.stem}, cell {i}: {len(cell.source.split())} words"


@every_book
def test_code_names_no_model_without_a_written_reason(path):
    for i, cell in cells(path, "code"):
        named = [m for m in MODEL_ID.findall(cell.source) if "model_ids" not in ours(cell)]
        assert not named, f"{path.stem}, cell {i}: {named}; use MODEL, or say why in chatkit.model_ids"


@every_book
def test_prose_names_only_models_that_models_toml_dates(path):
    known = {*models.known(), "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4"}
    for i, cell in cells(path, "markdown"):
        named = {name.rstrip(".-") for name in MODEL_ID.findall(cell.source)}
        assert named <= known, f"{path.stem}, cell {i}: {named - known}"


@every_book
def test_pictures_exist_and_say_what_they_show(path):
    for i, cell in cells(path, "markdown"):
        for alt, target in re.findall(r"!\[(.*?)\]\((.*?)\)", cell.source):
            assert len(alt) > 10, f"{path.stem}, cell {i}: alt text of {target}"
            assert (path.parent / target).is_file(), f"{path.stem}, cell {i}: {target}"


@every_book
def test_the_file_is_as_the_project_saves_it(path):
    notebook = notebooks.read(path)
    assert path.read_text(encoding="utf-8") == notebooks.text_of(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@every_book
def test_the_setup_cell_has_the_one_shape(path):
    _, setup = cells(path, "code")[0]
    lesson = path.stem.removesuffix("_solutions")
    shape = (
        r"%xmode Minimal\nimport os, chatkit\n"
        rf'chatkit\.start\("{lesson}"(, answers=\{{.*\}})?\)\nMODEL = os\.environ\["OPENAI_MODEL"\]'
    )
    assert re.fullmatch(shape, setup.source), f"{path.stem}: {setup.source}"


@every_book
def test_offered_changes_stand_in_their_cells(path):
    list(notebooks.variants(notebooks.read(path)))


@every_lesson
def test_a_lesson_has_the_skeleton(path):
    sources = [cell.source for cell in notebooks.read(path).cells]
    number = int(path.stem[:2])
    title, promise, facts = [line for line in sources[0].splitlines() if line]
    assert title.startswith(f"# {number}. ")
    assert promise.endswith(("니다.", "요."))
    assert re.fullmatch(
        r"⏱ \d+분\(설명 \d+분, 실습 \d+분, 추정\) · 선수 강의: .+ · "
        r"요청 \d+번 · 실제 API 예상 비용: .+ · 기준일: 20\d\d-\d\d-\d\d",
        facts,
    )
    headings = [line for source in sources for line in source.splitlines() if line.startswith("## ")]
    sections = [heading for heading in headings if re.match(rf"## {number}\.\d ", heading)]
    assert 3 <= len(sections) <= 5
    assert all(re.fullmatch(r"## \d\.\d .+ · (핵심|선택) · \d+분", section) for section in sections), sections
    assert headings == ["## 학습 목표", *sections, "## 연습", "## 확인 문제", "## 정리"]


@every_lesson
def test_each_section_asks_first_and_offers_a_change(path):
    text = "\n".join(cell.source for cell in notebooks.read(path).cells if cell.cell_type == "markdown")
    for section in re.split(r"^## ", text.partition("## 연습")[0], flags=re.M)[2:]:
        assert "**예측해 보세요.**" in section, f"{path.stem}: {section.splitlines()[0]}"


@every_lesson
def test_the_recap_mirrors_the_goals(path):
    sources = [cell.source for cell in notebooks.read(path).cells]
    goals = next(source for source in sources if source.startswith("## 학습 목표"))
    recap = next(source for source in sources if source.startswith("## 정리"))
    count = len(re.findall(r"^- ", goals, flags=re.M))
    assert 3 <= count <= 4
    assert len(re.findall(r"^- ", recap, flags=re.M)) == count


@every_lesson
def test_a_lesson_asks_the_questions_of_its_quiz(path):
    asked = [cell.source for _i, cell in cells(path, "code") if cell.source.startswith("chatkit.quiz(")]
    questions = exercises.questions(path.parent / "recordings" / path.stem)
    assert asked == [f'chatkit.quiz("{question.id}")' for question in questions]
    assert 2 <= len(questions) <= 3


@every_lesson
def test_a_lesson_has_a_core_and_a_stretch_exercise_with_their_tasks_above_them(path):
    book = notebooks.read(path).cells
    bank = exercises.every(path.parent / "recordings" / path.stem)
    assert [exercise.level for exercise in bank] == ["core", "stretch"]
    for number, (exercise, level) in enumerate(zip(bank, ("핵심", "도전"), strict=True), 1):
        told = f"**연습 {number} ({level}).** {exercise.task}"
        task = next(i for i, cell in enumerate(book) if cell.source.startswith(told))
        asked = next(i for i, cell in enumerate(book) if f'chatkit.exercise("{exercise.id}")' in cell.source)
        assert 0 < asked - task <= 2
        assert book[asked].source == f'chatkit.exercise("{exercise.id}")\n# 여기에 이어서 씁니다'


@every_lesson
def test_the_solutions_reach_every_goal(path):
    told = [output.data["text/plain"] for output in _outputs(notebooks.solutions(PROJECT, path.stem)[0])]
    cards = [text for text in told if text.startswith("**연습(")]
    assert len(cards) == 2
    assert all(say("exercise_passed") in card for card in cards)


def _outputs(path):
    return [output for _i, cell in cells(path, "code") for output in cell.outputs if "data" in output]


@every_lesson
def test_every_lesson_has_its_solutions_and_recordings(path):
    assert notebooks.solutions(PROJECT, path.stem)
    assert any((path.parent / "recordings" / path.stem).glob("*.json"))


def test_every_folder_of_recordings_belongs_to_a_lesson():
    folders = {folder.name for folder in (PROJECT / "notebooks" / "recordings").iterdir()}
    assert folders == {path.stem for path in LESSONS}


def test_recorded_requests_name_a_model_in_service_or_the_one_a_cell_may_name():
    allowed = {models.default(), *(m.id for m in models.known().values() if m.shutdown)}
    for file in (PROJECT / "notebooks" / "recordings").glob("*/*.json"):
        body = json.loads(file.read_text(encoding="utf-8"))["request"].get("json") or {}
        assert body.get("model", models.default()) in allowed, file.name
