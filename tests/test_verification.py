"""Each thing that verify looks for, and that it stays silent about a clean project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import Lesson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from learner import LUNA, ask, chat, failure

from chatkit import recordings, verification
from chatkit.recordings import Json, Record

PROMPT = "안녕"


def findings(lesson: Lesson, used: set[str] | None = None) -> list[str]:
    return verification.check_recordings(lesson.root, used)


def path_of(lesson: Lesson, record: Record) -> Path:
    return lesson.folder / recordings.file_name(record)


def changed(lesson: Lesson, record: Record, change: Callable[[Record], Any], *, sealed: bool = True) -> list[str]:
    """Change a saved record, seal it again so that only the change itself shows, and return the findings."""
    path = path_of(lesson, record)
    copy = json.loads(path.read_text(encoding="utf-8"))
    change(copy)
    path.write_text(recordings.dump(recordings.seal(copy) if sealed else copy), encoding="utf-8")
    return findings(lesson)


@pytest.fixture
def plain(lesson: Lesson) -> Record:
    return lesson.has(PROMPT, "반갑습니다.")


@pytest.fixture
def streamed(lesson: Lesson) -> Record:
    return lesson.has(PROMPT, "반갑습니다.", stream=True)


@pytest.mark.usefixtures("plain", "streamed")
def test_a_clean_lesson_has_no_findings(lesson: Lesson) -> None:
    lesson.has("틀림", failure(400, "x"))
    lesson.has("늦음", {"fault": "timeout"}, constructed=True)
    lesson.holds({"method": "GET", "url": "weather.example/now"}, {"status": 200, "json": {"temperature": 3}})
    assert findings(lesson) == []


# what anybody may have changed


def test_a_changed_reply_is_noticed(lesson: Lesson, plain: Record) -> None:
    found = changed(lesson, plain, lambda r: r["responses"][0].update(ms=1), sealed=False)
    assert found == [f"{path_of(lesson, plain)}: its content was changed after it was sealed"]


def test_a_missing_seal_is_noticed(lesson: Lesson, plain: Record) -> None:
    assert "changed after it was sealed" in changed(lesson, plain, lambda r: r.pop("sha256"), sealed=False)[0]


def test_a_changed_request_is_noticed_though_sealed_again(lesson: Lesson, plain: Record) -> None:
    (found,) = changed(lesson, plain, lambda r: r["request"]["json"].update(seed=1))
    assert f"its request was changed: key is {plain['key']}" in found


def test_another_layout_is_noticed(lesson: Lesson, plain: Record) -> None:
    path_of(lesson, plain).write_text(json.dumps(plain, ensure_ascii=False), encoding="utf-8")
    assert "not in the form that chatkit writes" in findings(lesson)[0]


def test_another_name_is_noticed(lesson: Lesson, plain: Record) -> None:
    path_of(lesson, plain).rename(lesson.folder / "mine.json")
    assert findings(lesson) == [f"{lesson.folder / 'mine.json'}: its name should be {recordings.file_name(plain)}"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", ["notes.txt", "chat.json.bak", ".half.tmp"])
def test_a_file_that_is_no_recording_is_noticed(lesson: Lesson, name: str) -> None:
    (lesson.folder / name).write_text("", encoding="utf-8")
    assert findings(lesson) == [f"{lesson.folder / name}: not a recording (*.json expected)"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b'{"chatkit": 2}'])
def test_an_unreadable_file_is_noticed(lesson: Lesson, raw: bytes) -> None:
    (lesson.folder / "a.json").write_bytes(raw)
    (found,) = findings(lesson)
    assert f"{lesson.folder / 'a.json'}: cannot be read" in found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.integers(0, 5_000), mask=st.integers(1, 255))
@example(place=1, mask=0x07)  # a line feed becomes a carriage return
def test_any_changed_byte_is_noticed(lesson: Lesson, place: int, mask: int) -> None:
    record = lesson.has(PROMPT, "반갑습니다.", stream=True)
    raw = bytearray(path_of(lesson, record).read_bytes())
    raw[place % len(raw)] ^= mask
    path_of(lesson, record).write_bytes(raw)
    assert findings(lesson)


odd_json = st.none() | st.integers() | st.text(max_size=2) | st.just([]) | st.just({}) | st.just([1]) | st.just([[]])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data(), value=odd_json)
def test_no_value_in_a_recording_makes_verify_stumble(lesson: Lesson, data: st.DataObject, value: Json) -> None:
    record = lesson.has(PROMPT, "반갑습니다.", stream=True)
    copy = json.loads(json.dumps(record))
    holder: Any = copy
    while True:
        inside = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        name = data.draw(st.sampled_from(inside))
        deeper = isinstance(holder[name], dict | list) and len(holder[name]) > 0
        if not deeper or data.draw(st.booleans()):
            break
        holder = holder[name]
    holder[name] = value
    path_of(lesson, record).write_text(json.dumps(copy), encoding="utf-8")
    assert findings(lesson)


# secrets and provenance


def test_a_secret_is_found_and_not_repeated(lesson: Lesson, plain: Record) -> None:
    key = "sk-proj-abcdefghijklmnop1234"
    found = changed(lesson, plain, lambda r: r["source"].update(note=f"{key} x"))
    assert ["holds a secret: API key sk-pro…" in line for line in found] == [True]
    assert key not in str(found)


@pytest.mark.parametrize("name", ["by", "recorded", "why"])
def test_a_gap_in_the_provenance_is_noticed(lesson: Lesson, plain: Record, name: str) -> None:
    (found,) = changed(lesson, plain, lambda r: r["source"].pop(name))
    assert found.endswith(f'its source does not say "{name}"')


def test_a_recorded_reply_needs_no_why(lesson: Lesson, plain: Record) -> None:
    assert changed(lesson, plain, lambda r: r.update(source={"kind": "api", "by": "x", "recorded": "2026-11-22"})) == []


def test_an_unknown_kind_of_source_is_noticed(lesson: Lesson, plain: Record) -> None:
    (found,) = changed(lesson, plain, lambda r: r["source"].update(kind="dream"))
    assert "unknown source kind 'dream'; expected one of api, local-model, authored" in found


def test_constructed_and_not_authored_is_noticed(lesson: Lesson, plain: Record) -> None:
    (found,) = changed(lesson, plain, lambda r: r.update(constructed=True, source={**r["source"], "kind": "api"}))
    assert found.endswith("constructed, but not authored")


# the replies


def test_a_text_unlike_its_events_is_noticed(lesson: Lesson, streamed: Record) -> None:
    (found,) = changed(lesson, streamed, lambda r: r["responses"][0].update(text="다른 말"))
    assert found.endswith("response 1: its text differs from its events")


def test_events_out_of_order_are_noticed(lesson: Lesson, streamed: Record) -> None:
    (found,) = changed(lesson, streamed, lambda r: r["responses"][0]["events"][1].__setitem__(0, 99_999))
    assert found.endswith("response 1: its events are not in the order of their times")


def test_a_reply_that_breaks_the_sdks_schema_is_noticed(lesson: Lesson, plain: Record) -> None:
    found = changed(lesson, plain, lambda r: r["responses"][0]["json"].pop("choices"))
    assert any(line.endswith("response 1: choices: Field required") for line in found)


def test_a_chunk_that_breaks_the_sdks_schema_is_noticed(lesson: Lesson, streamed: Record) -> None:
    found = changed(lesson, streamed, lambda r: r["responses"][0]["events"][1][1].pop("id"))
    assert any(line.endswith("response 1: event 2: id: Field required") for line in found)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda body: body.update(mood="good"), "mood"),
        (lambda body: body["choices"][0]["message"].update(mood="good"), "choices.message.mood"),
    ],
)
def test_an_invented_field_is_noticed_where_the_reply_is_authored(
    lesson: Lesson, plain: Record, change: Callable[[Json], Any], name: str
) -> None:
    (found,) = changed(lesson, plain, lambda r: change(r["responses"][0]["json"]))
    assert found.endswith(f"unknown field {name!r}")
    api = {"kind": "api", "by": "x", "recorded": "2026-11-22"}
    assert changed(lesson, plain, lambda r: r.update(source=api)) == []


@pytest.mark.parametrize("name", ["message", "type", "param", "code"])
def test_an_error_needs_the_apis_four_fields(lesson: Lesson, name: str) -> None:
    record = lesson.has(PROMPT, failure(400, "x"))
    (found,) = changed(lesson, record, lambda r: r["responses"][0]["json"]["error"].pop(name))
    assert found.endswith("an error body needs error.message, type, param and code")


@pytest.mark.parametrize(("body", "name"), [({"stop": "."}, "stop"), ({"temperature": 1}, "temperature")])
def test_an_authored_reply_to_what_the_model_refuses_is_noticed(
    lesson: Lesson, body: dict[str, Any], name: str
) -> None:
    lesson.has(PROMPT, "반갑습니다.", **body)
    (found,) = findings(lesson)
    assert f"{LUNA} answers {name!r} with 400" in found


def test_a_refusal_of_a_parameter_is_fine(lesson: Lesson) -> None:
    lesson.has(PROMPT, failure(400, "unsupported_parameter"), stop=".")
    lesson.has(PROMPT, "반갑습니다.", temperature=1, reasoning_effort="none")
    assert findings(lesson) == []


# staleness


def test_a_recording_that_nobody_asked_for_is_stale(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson.has(PROMPT, "반갑습니다.")
    stale = lesson.has("아무도 안 물음", "글쎄요.")
    log = tmp_path / "log"
    log.mkdir()
    monkeypatch.setenv("CHATKIT_USAGE_LOG", str(log))
    lesson.start()
    ask(PROMPT)
    (found,) = findings(lesson, verification.read_usage(log))
    assert found.startswith(f"{path_of(lesson, stale)}: never asked for")


@pytest.mark.usefixtures("plain")
def test_without_a_log_nothing_is_stale(lesson: Lesson) -> None:
    assert findings(lesson, None) == []
    assert len(findings(lesson, set())) == 1


# notebooks


def notebook(*cells: Any) -> Path:
    path = Path("lesson.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


def printed(text: str) -> Any:
    return nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text=text)])


def test_a_clean_notebook_has_no_findings() -> None:
    path = notebook(nbformat.v4.new_markdown_cell("키는 `sk-...` 꼴입니다."), printed("Incorrect API key: sk-...abc"))
    assert verification.check_notebook(path) == []


LEAKS = {
    "key": ("sk-proj-abcdefghijklmnop1234", "API key sk-pro…"),
    "bearer": ("Bearer abcdefghijklmnop", "bearer token Bearer…"),
    "home": ("/home/minsu/lesson.py", "a path of one machine (/home/)"),
    "mac": ("/Users/minsu/lesson.py", "a path of one machine (/Users/)"),
    "windows": (r"C:\Users\민수\lesson.py", "a path of one machine"),
    "packages": ("lib/site-packages/openai", "a path of one machine (site-packages)"),
}


@pytest.mark.parametrize(("text", "told"), LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("where", ["source", "prose", "output"])
def test_a_leak_in_a_notebook_is_found(where: str, text: str, told: str) -> None:
    cells = {
        "source": nbformat.v4.new_code_cell(f"x = '{text}'"),
        "prose": nbformat.v4.new_markdown_cell(text),
        "output": printed(f"키:\n{text}\n"),
    }
    found = verification.check_notebook(notebook(nbformat.v4.new_markdown_cell("# 제목"), cells[where]))
    assert any(line.startswith(f"lesson.ipynb: cell 1: holds {told}") for line in found)


def test_a_chat_that_is_no_chat_is_not_measured_as_one(lesson: Lesson) -> None:
    lesson.holds({**chat(PROMPT), "path": "/embeddings"}, {"status": 200, "json": {"object": "list"}})
    assert findings(lesson) == []


# exercises


@pytest.fixture
def practice(lesson: Lesson) -> Callable[..., list[str]]:
    """Write an exercise, a quiz and the notebooks that ask them, with changes, and return the findings."""
    rule = {"goal": "인사", "hints": ["힌트"], "schema": {}}
    source = {"kind": "authored", "by": "the tests", "recorded": "2026-11-25", "why": "a test"}
    exercise = {"chatkit_exercise": 1, "id": "01-a", "level": "core", "title": "가", "task": "나", "source": source}
    exercise["steps"] = [{"rules": [rule], "reply": "반갑습니다."}]
    question = {"id": "01-q", "question": "?", "choices": [{"text": "예", "reason": "왜", "right": True}]}

    def check(asked: str = "01-a", quizzed: str = "01-q", **changes: Any) -> list[str]:
        folder = lesson.folder / "exercises"
        folder.mkdir(exist_ok=True)
        (folder / "01-a.json").write_text(json.dumps(exercise | changes, ensure_ascii=False), encoding="utf-8")
        (folder / "quiz.json").write_text(json.dumps([question]), encoding="utf-8")
        cells = [f'chatkit.exercise("{asked}")', f'chatkit.quiz("{quizzed}")']
        books = []
        for name in ("01_test.ipynb", "01_test_solutions.ipynb"):
            book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
            books.append(lesson.root / name)
            nbformat.write(book, books[-1])
        return verification.check_exercises(lesson.root, books)

    return check


def test_a_clean_exercise_has_no_findings(practice: Callable[..., list[str]]) -> None:
    assert practice() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"asked": "01-b"}, "expected in one cell of the lesson and one of its solutions"),
        ({"quizzed": "01-r"}, "no cell asks 01-q"),
        ({"id": "01-b"}, "its id is '01-b'"),
        ({"level": "hard"}, "level"),
        ({"source": {"kind": "authored", "by": "us", "recorded": "2026-11-25"}}, 'does not say "why"'),
        ({"source": {"kind": "guess", "by": "us", "recorded": "2026-11-25"}}, "unknown source kind"),
        ({"task": "sk-abcdefghijklmnopqrstuvwx"}, "holds a secret"),
        ({"steps": [{"rules": [], "reply": {"message": {"content": 3}}}]}, "step 1"),
        ({"steps": [{"rules": [], "reply": {"status": 429, "json": {"error": "no"}}}]}, "an error body needs"),
        ({"steps": [{"rules": [], "reply": 3}]}, "its reply cannot be played"),
    ],
)
def test_what_is_wrong_with_an_exercise_is_found(
    changes: dict[str, Any], told: str, practice: Callable[..., list[str]]
) -> None:
    found = practice(**changes)
    assert any(told in finding for finding in found), found
    assert all("01-a.json" in finding or "quiz.json" in finding for finding in found)


def test_exercises_are_no_recordings(practice: Callable[..., list[str]], lesson: Lesson) -> None:
    practice()
    assert findings(lesson) == []
