"""Replies written by hand in the API's wire format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from conftest import Lesson
from hypothesis import given
from hypothesis import strategies as st
from learner import LUNA, ask, chat, failure, stream, words

from chatkit import authored, tokens, verification
from chatkit.recordings import Json

PROMPT, REPLY = "안녕", "반갑습니다. 무엇을 도와드릴까요?"
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "서울"}'}}


def completion(lesson: Lesson, prompt: str = PROMPT, **body: Any) -> openai.types.chat.ChatCompletion:
    lesson.start()
    messages = [{"role": "user", "content": prompt}]
    return openai.OpenAI(max_retries=0).chat.completions.create(model=LUNA, messages=messages, **body)


def written(*replies: authored.Reply, **body: Any) -> Json:
    return authored.record(chat(PROMPT, **body), list(replies), by="the tests", why="a test")


# what is typed


@pytest.mark.parametrize(
    ("typed", "takes"),
    [
        ("\n안녕하세요\n", ["안녕하세요"]),
        ("두 줄\n입니다", ["두 줄\n입니다"]),
        ('{"reply": "가"}', [{"reply": "가"}]),
        ('[{"reply": "가"}, {"status": 500}]', [{"reply": "가"}, {"status": 500}]),
        ('{"message": {"refusal": "안 됩니다."}}', [{"message": {"refusal": "안 됩니다."}}]),
        ('{"fault": "timeout"}', [{"fault": "timeout"}]),
        ('{"city": "서울"}', ['{"city": "서울"}']),
        ("[1, 2]", ["[1, 2]"]),
        ("[]", ["[]"]),
        ("42", ["42"]),
        ('{"reply": ', ['{"reply": ']),
    ],
)
def test_what_is_typed_is_text_unless_it_is_shaped_as_takes(typed: str, takes: list[authored.Reply]) -> None:
    assert authored.parse(typed) == takes


@given(st.text())
def test_anything_may_be_typed(typed: str) -> None:
    assert len(authored.parse(typed)) >= 1


# what the SDK makes of it


def test_a_reply_is_a_whole_completion(lesson: Lesson) -> None:
    lesson.has(PROMPT, REPLY)
    reply = completion(lesson)
    assert (reply.object, reply.model, reply.id[:17]) == ("chat.completion", LUNA, "chatcmpl-example-")
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (REPLY, "stop")
    assert reply.usage.prompt_tokens == tokens.count_messages([{"role": "user", "content": PROMPT}])
    assert reply.usage.completion_tokens == tokens.count(REPLY)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_comes_in_pieces_of_whole_tokens_and_ends_with_a_reason(lesson: Lesson) -> None:
    lesson.has(PROMPT, REPLY, stream=True)
    lesson.start()
    chunks = list(stream(PROMPT, openai.OpenAI()))
    assert "".join(words(chunks)) == REPLY
    assert [piece for word in words(chunks) for piece in tokens.split(word)] == tokens.split(REPLY)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_tells_its_usage_only_when_asked(lesson: Lesson) -> None:
    record = lesson.has(PROMPT, REPLY, stream=True, stream_options={"include_usage": True})
    lesson.start()
    chunks = list(stream(PROMPT, openai.OpenAI(), stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == tokens.count(REPLY)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])
    sent = [data for _ms, data in record["responses"][0]["events"] if data != "[DONE]"]
    assert [data["usage"] for data in sent[:-1]] == [None] * len(chunks[:-1])  # the API writes the null


def test_a_stream_that_is_cut_off_breaks_in_the_sdk_and_is_marked_as_constructed(lesson: Lesson) -> None:
    record = lesson.has(PROMPT, {"reply": REPLY, "cut": 3}, stream=True)
    lesson.start()
    chunks = []
    with pytest.raises(openai.APIConnectionError):
        for chunk in stream(PROMPT, openai.OpenAI()):
            chunks.append(chunk)
    assert len(chunks) == 3
    assert record["constructed"] is True


def test_a_stream_that_falls_silent_meets_the_read_timeout(lesson: Lesson) -> None:
    lesson.has(PROMPT, {"reply": REPLY, "stall": 3}, stream=True)
    lesson.start()
    chunks = []
    with pytest.raises(openai.APITimeoutError):
        for chunk in stream(PROMPT, openai.OpenAI(timeout=5)):
            chunks.append(chunk)
    assert len(chunks) == 3


def test_a_stream_may_end_cleanly_without_its_closing_mark(lesson: Lesson) -> None:
    lesson.has(PROMPT, {"reply": REPLY, "end": 3}, stream=True)
    lesson.start()
    chunks = list(stream(PROMPT, openai.OpenAI()))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 3


def test_a_tool_call_ends_with_its_reason_and_counts(lesson: Lesson) -> None:
    lesson.has(PROMPT, {"message": {"tool_calls": [CALL]}})
    choice = completion(lesson).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls[0].function.arguments == '{"city": "서울"}'
    usage = completion(lesson).usage
    assert usage.completion_tokens == tokens.count(json.dumps(CALL["function"], ensure_ascii=False))


def test_a_streamed_tool_call_reaches_the_caller(lesson: Lesson) -> None:
    lesson.has(PROMPT, {"message": {"tool_calls": [CALL]}}, stream=True)
    lesson.start()
    deltas = [chunk.choices[0].delta for chunk in stream(PROMPT, openai.OpenAI())]
    pieces = [call.function.arguments for delta in deltas for call in delta.tool_calls or []]
    assert "".join(pieces) == '{"city": "서울"}'


def test_a_streamed_refusal_reaches_the_caller(lesson: Lesson) -> None:
    lesson.has(PROMPT, {"message": {"refusal": "도와드릴 수 없습니다."}}, stream=True)
    lesson.start()
    deltas = [chunk.choices[0].delta for chunk in stream(PROMPT, openai.OpenAI())]
    assert "".join(delta.refusal or "" for delta in deltas) == "도와드릴 수 없습니다."


def test_a_refusal_a_length_and_reasoning_may_be_given(lesson: Lesson) -> None:
    lesson.has("거절", {"message": {"refusal": "안 됩니다."}})
    assert completion(lesson, "거절").choices[0].message.refusal == "안 됩니다."
    lesson.has("길게", {"reply": "하나 둘", "finish_reason": "length", "reasoning_tokens": 64})
    cut = completion(lesson, "길게")
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens_details.reasoning_tokens == 64
    assert cut.usage.completion_tokens == tokens.count("하나 둘") + 64


def test_a_whole_response_stays_as_it_is_written(lesson: Lesson) -> None:
    lesson.has(PROMPT, failure(429, "insufficient_quota"))
    lesson.start()
    with pytest.raises(openai.RateLimitError) as error:
        ask(PROMPT)
    assert error.value.code == "insufficient_quota"


# the record


def test_several_replies_are_takes() -> None:
    assert [r["take"] for r in written("가", "나", {"fault": "reset"})["responses"]] == [1, 2, 3]


def test_a_record_says_who_when_and_why() -> None:
    source = written("가")["source"]
    assert source.keys() == {"kind", "by", "recorded", "why"}
    assert (source["kind"], source["by"], source["why"]) == ("authored", "the tests", "a test")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_reply_to_the_same_request_is_the_same_record(streamed: bool) -> None:
    assert written(REPLY, stream=streamed) == written(REPLY, stream=streamed)


def test_times_of_a_stream_run_forward() -> None:
    response = written(REPLY, stream=True)["responses"][0]
    times = [ms for ms, *_ in response["events"]]
    assert times == sorted(times)
    assert times[0] == response["ms"]


REPLIES = {
    "text": REPLY,
    "empty": "",
    "emoji": "👩‍👩‍👧‍👦",
    "tool call": {"message": {"tool_calls": [CALL]}},
    "refusal": {"message": {"refusal": "안 됩니다."}},
    "error": failure(400, "x"),
    "fault": {"fault": "timeout"},
    "cut": {"reply": REPLY, "cut": 2},
    "stall": {"reply": REPLY, "stall": 2},
    "early end": {"reply": REPLY, "end": 2},
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("body", [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}])
def test_whatever_is_authored_passes_verification(lesson: Lesson, body: dict[str, Any], reply: authored.Reply) -> None:
    lesson.has(PROMPT, reply, **body)
    assert verification.check_recordings(Path(lesson.root)) == []
