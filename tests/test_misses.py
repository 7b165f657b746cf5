"""What a learner reads when a request has no recording."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import openai
import pytest
from conftest import Lesson
from hypothesis import given
from hypothesis import strategies as st
from learner import ask, chat

import chatkit
from chatkit import misses, recordings

SOURCE = {"kind": "authored", "by": "the tests", "recorded": "2026-11-22", "why": "a test"}
ANSWER = {"status": 200, "json": {}}


def miss(lesson: Lesson, prompt: str, client: openai.OpenAI | None = None, **body: Any) -> str:
    """Ask what has no recording and return what the learner reads."""
    lesson.start()
    with pytest.raises(chatkit.MissingRecording) as error:
        ask(prompt, client, **body)
    return str(error.value)


def told(lesson: Lesson, prompt: str, **body: Any) -> str:
    """Return only the part between the nearest recording and the ways on."""
    return miss(lesson, prompt, **body).split("다음이 다릅니다.\n")[1].split("\n\n")[0]


def folder(*requests: recordings.Request) -> recordings.Folder:
    made = recordings.Folder(Path("lesson"))
    for request in requests:
        record = recordings.make(request, SOURCE, [ANSWER])
        made.add(Path(recordings.file_name(record)), record)
    return made


def test_a_miss_names_the_lesson_the_nearest_file_and_the_ways_on(lesson: Lesson) -> None:
    record = lesson.has("안녕", "반갑습니다.")
    text = miss(lesson, "안녕?")
    assert text.startswith("01_test: 이 요청에 맞는 기록이 없습니다. 네트워크로는 아무것도 보내지 않았습니다.\n\n")
    assert f"가장 비슷한 기록은 chat-completions-{record['key']}.json 이고" in text
    assert text.endswith("CHATKIT_MODE=auto를 적고 커널을 다시 시작합니다.")


def test_a_changed_field_is_shown_with_both_values(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.", temperature=0)
    assert told(lesson, "안녕", temperature=1.5) == "  temperature\n    기록: 0\n    지금: 1.5"


def test_an_added_and_a_dropped_field_are_absent_on_one_side(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.", seed=7)
    assert told(lesson, "안녕", n=2) == "\n".join(
        ["  n", "    기록: (없음)", "    지금: 2", "  seed", "    기록: 7", "    지금: (없음)"]
    )


def test_a_message_is_named_by_its_place(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    assert told(lesson, "안녕히") == '  messages[0].content\n    기록: "안녕"\n    지금: "안녕히"'


@pytest.mark.parametrize("at", [0, 40, 900, 1_999])
def test_a_long_prompt_is_cut_around_the_difference(lesson: Lesson, at: int) -> None:
    prompt = "".join(chr(0xAC00 + n) for n in range(2_000))
    changed = prompt[:at] + "★" + prompt[at + 1 :]
    lesson.has(prompt, "반갑습니다.")
    _name, recorded, now = told(lesson, changed).splitlines()
    assert prompt[at] in recorded
    assert "★" in now
    assert max(len(recorded), len(now)) < 80
    assert ("…" in now[:13]) == (at > 20)


def test_a_prompt_that_only_goes_on_shows_its_end(lesson: Lesson) -> None:
    lesson.has("가" * 200, "반갑습니다.")
    assert '★"' in told(lesson, "가" * 200 + "★").splitlines()[2]


def test_at_most_six_differences_are_shown(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    text = told(lesson, "안녕", metadata={str(n): "x" for n in range(8)})
    assert text.count("지금: ") == 6
    assert text.endswith("\n  … 그 밖에 2곳")


def test_six_differences_need_no_more(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    text = told(lesson, "안녕", metadata={str(n): "x" for n in range(6)})
    assert text.count("지금: ") == 6
    assert "그 밖에" not in text


def test_another_key_is_told_in_words(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    text = miss(lesson, "안녕", openai.OpenAI(api_key="sk-wrong"))
    assert "  Authorization\n    기록: 기본 API 키를 씀\n    지금: 다른 API 키를 씀" in text
    assert "sk-wrong" not in text


def test_without_a_recording_of_that_place_the_place_is_named(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    with pytest.raises(chatkit.MissingRecording, match="이 강의에는 GET /models 요청의 기록이 하나도 없습니다"):
        openai.OpenAI().models.list()


def test_text_that_is_only_written_in_another_form_is_no_difference(lesson: Lesson) -> None:
    lesson.has("각오", "반갑습니다.", n=1)
    assert told(lesson, unicodedata.normalize("NFD", "각오"), n=2) == "  n\n    기록: 1\n    지금: 2"


def test_true_is_not_one(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.", logprobs=1)
    assert told(lesson, "안녕", logprobs=True) == "  logprobs\n    기록: 1\n    지금: true"


# the nearest


def test_the_nearest_is_the_one_with_the_most_like_text() -> None:
    known = folder(chat("고양이에 대해 말해 줘"), chat("오늘 날씨가 어때?"), chat("강아지에 대해 말해 줘"))
    nearest = misses.closest(chat("강아지에 대해 짧게 말해 줘"), known)
    assert known.records[nearest]["request"] == chat("강아지에 대해 말해 줘")


def test_the_same_text_with_another_field_is_nearer_than_another_text() -> None:
    known = folder(chat("오늘 날씨가 어때?", temperature=0), chat("고양이에 대해 말해 줘", temperature=1))
    nearest = misses.closest(chat("오늘 날씨가 어때?", temperature=1), known)
    assert known.records[nearest]["request"] == chat("오늘 날씨가 어때?", temperature=0)


def test_only_the_same_place_and_method_come_into_question() -> None:
    chatting = chat("안녕")
    assert misses.closest(chatting, folder({**chatting, "method": "GET"}, {**chatting, "path": "/other"})) is None
    assert misses.closest(chatting, folder()) is None


def test_a_query_does_not_make_another_place() -> None:
    known = folder({"method": "GET", "url": "weather.example/now?city=Seoul"})
    assert misses.closest({"method": "GET", "url": "weather.example/now?city=Busan"}, known) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_request_does_not_differ_from_itself(body: Any) -> None:
    request = {**chat("안녕"), "json": body}
    assert misses.differences(request, request) == []


@given(json_values, json_values)
def test_any_two_bodies_are_compared_without_a_crash(old: Any, new: Any) -> None:
    text = str(misses.missing("01_test", {**chat("x"), "json": new}, folder({**chat("x"), "json": old})))
    assert text.count("지금: ") <= 6
