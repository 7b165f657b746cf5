"""Record mode against a real socket: what is kept, what is not, and that the caller does not notice."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest
from conftest import Lesson
from hypothesis import example, given
from hypothesis import strategies as st
from learner import LUNA, ask, ask_async, chat, failure, stream, words
from openai_server import OpenAIServer, Reply, chunks, completion

import chatkit
from chatkit import recorder, recordings, replay

pytestmark = pytest.mark.usefixtures("live")

PROMPT = "안녕"
WORDS = ["하나 ", "둘 ", "셋 "]
DEADLINE = 5


@pytest.fixture
def recording(lesson: Lesson) -> Lesson:
    lesson.start(mode="record")
    return lesson


def new_cell(name: str) -> None:
    """Tell the session that a cell begins, as IPython does."""
    chatkit.session._active._new_cell(SimpleNamespace(cell_id=name))


def client(**options: Any) -> openai.OpenAI:
    return openai.OpenAI(**{"max_retries": 0, **options})


def only(lesson: Lesson) -> recordings.Record:
    (record,) = lesson.saved().records.values()
    return record


def texts(record: recordings.Record) -> list[str]:
    return [r["json"]["choices"][0]["message"]["content"] for r in record["responses"]]


# record, then replay


def test_what_is_recorded_is_replayed_the_same(recording: Lesson, live: OpenAIServer) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    came = client().chat.completions.create(model=LUNA, messages=messages)
    live.answer = "anything else"
    recording.start(mode="replay")
    assert client().chat.completions.create(model=LUNA, messages=messages) == came
    assert len(live.requests) == 1


def test_a_recorded_stream_is_replayed_chunk_by_chunk(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = "하나 둘 셋"
    came = list(stream(PROMPT, client(), stream_options={"include_usage": True}))
    recording.start(mode="replay")
    assert list(stream(PROMPT, client(), stream_options={"include_usage": True})) == came
    assert words(came) == WORDS
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)
    assert only(recording)["responses"][0]["events"][-1][1] == "[DONE]"


def test_the_async_client_is_recorded(recording: Lesson, live: OpenAIServer) -> None:
    came = asyncio.run(ask_async(PROMPT))
    recording.start(mode="replay")
    assert asyncio.run(ask_async(PROMPT)) == came == live.answer


def test_an_async_stream_is_recorded(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = "하나 둘 셋"

    async def read() -> list[Any]:
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            messages = [{"role": "user", "content": PROMPT}]
            opened = await asynchronous.chat.completions.create(model=LUNA, messages=messages, stream=True)
            return [chunk async for chunk in opened]

    came = asyncio.run(read())
    recording.start(mode="replay")
    assert asyncio.run(read()) == came
    assert words(came) == WORDS


def test_a_plain_request_to_another_place_is_recorded(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = lambda _body: Reply(body="맑음".encode(), content_type="text/plain; charset=utf-8")
    headers = {"authorization": "Bearer weather"}
    assert httpx2.get(f"{live.origin}/weather?b=2&a=1", headers=headers).text == "맑음"
    recording.start(mode="replay")
    assert httpx2.get(f"{live.origin}/weather?a=1&b=2", headers=headers).text == "맑음"


def test_a_recording_says_where_it_came_from(recording: Lesson, live: OpenAIServer) -> None:
    ask(PROMPT)
    source = only(recording)["source"]
    assert source["kind"] == "local-model"
    assert f"http://{source['by']}/v1" == live.base_url
    assert source["sdk"] == openai.__version__
    assert source.keys() == {"kind", "by", "recorded", "sdk"}


def test_a_base_url_given_to_the_client_is_no_openai_either(
    recording: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    ask(PROMPT, client(base_url=live.base_url))
    assert only(recording)["source"]["kind"] == "local-model"


def test_equal_requests_become_takes(recording: Lesson, live: OpenAIServer) -> None:
    rolls = iter("123")
    live.answer = lambda _body: next(rolls)
    assert [ask(PROMPT) for _ in range(3)] == ["1", "2", "3"]
    recording.start(mode="replay")
    assert [ask(PROMPT) for _ in range(4)] == ["1", "2", "3", "1"]


def test_concurrent_equal_requests_become_takes(recording: Lesson, live: OpenAIServer) -> None:
    together = threading.Barrier(3, timeout=DEADLINE)
    rolls = iter("123")

    def roll(_body: Any) -> str:
        together.wait()
        return next(rolls)

    live.answer = roll

    async def all_three() -> list[str]:
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            return await asyncio.gather(*(ask_async(PROMPT, asynchronous) for _ in range(3)))

    came = asyncio.run(all_three())
    assert texts(only(recording)) == came
    assert sorted(came) == ["1", "2", "3"]


# the caller does not notice


def gated(live: OpenAIServer) -> threading.Event:
    """Let the server hold back everything after the first word."""
    gate = threading.Event()
    live.answer = Reply("하나 둘 셋", gate=gate, gate_before=2)
    return gate


def test_the_first_chunk_arrives_while_the_server_holds_the_rest_back(recording: Lesson, live: OpenAIServer) -> None:
    gate = gated(live)
    opened = stream(PROMPT, client())
    first = [next(opened), next(opened)]
    assert words(first) == WORDS[:1]
    assert recording.files() == {}
    gate.set()
    assert words(opened) == WORDS[1:]
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)


def test_the_first_chunk_arrives_at_once_for_the_async_client(recording: Lesson, live: OpenAIServer) -> None:
    gate = gated(live)

    async def read() -> None:
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            messages = [{"role": "user", "content": PROMPT}]
            opened = await asynchronous.chat.completions.create(model=LUNA, messages=messages, stream=True)
            first = [await anext(opened), await anext(opened)]
            assert words(first) == WORDS[:1]
            gate.set()
            assert words([chunk async for chunk in opened]) == WORDS[1:]

    asyncio.run(read())
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)


def test_times_of_events_are_those_of_their_arrival(
    recording: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(recorder, "time", clock)
    monkeypatch.setattr(chatkit.session, "time", clock)
    gate = gated(live)
    opened = stream(PROMPT, client())
    now[0] = 1.5
    next(opened), next(opened)
    now[0] = 2.0
    gate.set()
    list(opened)
    response = only(recording)["responses"][0]
    assert response["ms"] == 0
    assert {ms for ms, _data in response["events"][:2]} <= {0, 1_500}
    assert {ms for ms, _data in response["events"][2:]} == {2_000}


def left_in_the_middle(opened: openai.Stream[Any]) -> None:
    next(opened), next(opened)
    opened.close()


def left_by_a_with_block(opened: openai.Stream[Any]) -> None:
    with opened:
        for _chunk in opened:
            break


def left_unread(opened: openai.Stream[Any]) -> None:
    opened.close()


@pytest.mark.parametrize("leave", [left_in_the_middle, left_by_a_with_block, left_unread])
def test_leaving_a_stream_early_still_records_the_whole(recording: Lesson, live: OpenAIServer, leave: Any) -> None:
    live.answer = "하나 둘 셋"
    leave(stream(PROMPT, client()))
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)


def test_a_stream_left_by_break_is_recorded_when_it_is_forgotten(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = "하나 둘 셋"
    asking = client()
    opened = stream(PROMPT, asking)
    for _chunk in opened:
        break
    gc.disable()  # else the server's thread may be the one that collects it, and still be at it below
    try:
        del opened
        gc.collect()
    finally:
        gc.enable()
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)
    asking.close()


def test_a_stream_left_open_is_recorded_by_stop(recording: Lesson, live: OpenAIServer) -> None:
    """As in a notebook: `for chunk in stream: break`, while the variable lives on."""
    live.answer = "하나 둘 셋"
    opened = stream(PROMPT, client())
    next(opened)
    chatkit.stop()
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)


def test_stop_switches_off_even_if_what_is_left_cannot_be_saved(recording: Lesson, live: OpenAIServer) -> None:
    recording_seam = httpx2.HTTPTransport.handle_request
    live.answer = "열쇠는 loopback-key 입니다."
    opened = stream(PROMPT, client())
    next(opened)
    with pytest.raises(chatkit.ChatkitError, match="OPENAI_API_KEY"):
        chatkit.stop()
    assert httpx2.HTTPTransport.handle_request is not recording_seam
    assert "OPENAI_MODEL" not in os.environ
    assert recording.files() == {}


def test_leaving_an_async_stream_early_still_records_the_whole(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = "하나 둘 셋"

    async def read() -> None:
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            messages = [{"role": "user", "content": PROMPT}]
            async with await asynchronous.chat.completions.create(model=LUNA, messages=messages, stream=True) as opened:
                await anext(opened)

    asyncio.run(read())
    assert only(recording)["responses"][0]["text"] == "".join(WORDS)


# what is never lost, what is never kept


@pytest.mark.parametrize("drop_after", [0, 2])
def test_a_dropped_connection_leaves_the_old_recording(recording: Lesson, live: OpenAIServer, drop_after: int) -> None:
    list(stream(PROMPT, client()))
    before = recording.files()
    live.answer = Reply("하나 둘 셋", drop_after=drop_after)
    recording.start(mode="record")
    with pytest.raises(openai.APIConnectionError):
        list(stream(PROMPT, client()))
    assert recording.files() == before


def test_a_connection_that_drops_after_the_caller_left_leaves_the_old_recording(
    recording: Lesson, live: OpenAIServer
) -> None:
    list(stream(PROMPT, client()))
    before = recording.files()
    live.answer = Reply("하나 둘 셋", drop_after=3)
    recording.start(mode="record")
    left_in_the_middle(stream(PROMPT, client()))
    assert recording.files() == before


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_trouble_of_the_moment_is_never_recorded(recording: Lesson, live: OpenAIServer, status: int) -> None:
    live.answer = Reply(status=status)
    with pytest.raises(openai.APIStatusError):
        ask(PROMPT)
    assert recording.files() == {}


def test_a_retried_call_is_recorded_as_one_take(recording: Lesson, live: OpenAIServer) -> None:
    replies = iter([Reply(status=429, headers={"retry-after-ms": "1"}), Reply("반갑습니다.")])
    live.answer = lambda _body: next(replies)
    assert ask(PROMPT, client(max_retries=2)) == "반갑습니다."
    assert [(r["take"], r["status"]) for r in only(recording)["responses"]] == [(1, 200)]


def test_an_error_that_is_the_answer_is_recorded(recording: Lesson) -> None:
    with pytest.raises(openai.BadRequestError) as live_error:
        ask(PROMPT, model="gpt-none")
    recording.start(mode="replay")
    with pytest.raises(openai.BadRequestError) as replayed:
        ask(PROMPT, model="gpt-none")
    assert str(replayed.value) == str(live_error.value)


def test_a_wrong_key_is_recorded_apart_from_the_right_one(recording: Lesson, live: OpenAIServer) -> None:
    for _session in ("record", "replay"):
        recording.start(mode=_session)
        assert ask(PROMPT) == live.answer
        with pytest.raises(openai.AuthenticationError):
            ask(PROMPT, client(api_key="sk-wrong"))
    assert len(recording.files()) == 2


def test_an_error_never_replaces_an_answer(recording: Lesson, live: OpenAIServer) -> None:
    ask(PROMPT)
    before = recording.files()
    live.answer = Reply(status=400, message="정원이 찼습니다.")
    recording.start(mode="record")
    with pytest.raises(openai.BadRequestError):
        ask(PROMPT)
    assert recording.files() == before


def test_an_error_inside_a_stream_never_replaces_an_answer(recording: Lesson, live: OpenAIServer) -> None:
    list(stream(PROMPT, client()))
    before = recording.files()
    trouble = {"error": {"message": "서버가 멈췄습니다.", "type": "server_error", "param": None, "code": None}}
    body = chat(PROMPT, stream=True)["json"]
    live.answer = Reply(events=[*list(chunks("하나", body))[:2], trouble])
    recording.start(mode="record")
    with pytest.raises(openai.APIError, match="서버가 멈췄습니다"):
        list(stream(PROMPT, client()))
    assert recording.files() == before


def test_an_answer_replaces_an_error(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = Reply(status=400)
    with pytest.raises(openai.BadRequestError):
        ask(PROMPT)
    live.answer = "반갑습니다."
    recording.start(mode="record")
    ask(PROMPT)
    assert texts(only(recording)) == ["반갑습니다."]


def test_a_secret_in_the_reply_is_told_and_leaves_the_old_recording(recording: Lesson, live: OpenAIServer) -> None:
    ask(PROMPT)
    before = recording.files()
    live.answer = "열쇠는 loopback-key 입니다."
    recording.start(mode="record")
    with pytest.raises(chatkit.ChatkitError, match="OPENAI_API_KEY"):
        ask(PROMPT)
    assert recording.files() == before


def test_a_full_disk_is_told_and_leaves_the_old_recording(recording: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(PROMPT)
    before = recording.files()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    recording.start(mode="record")
    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(chatkit.ChatkitError, match="No space left on device"):
        ask(PROMPT)
    assert recording.files() == before


def test_only_listed_headers_are_kept_and_none_of_the_request(recording: Lesson, live: OpenAIServer) -> None:
    kept = {
        "retry-after": "1",
        "retry-after-ms": "2",
        "x-request-id": "req_1",
        "openai-processing-ms": "3",
        "x-ratelimit-remaining-tokens": "4",
    }
    dropped = {"set-cookie": "a=b", "openai-organization": "user-acme", "cf-ray": "x"}
    live.answer = Reply(headers={**kept, **dropped})
    ask(PROMPT, client(default_headers={"x-mine": "private"}))
    assert only(recording)["responses"][0]["headers"] == {**kept, "content-type": "application/json"}
    assert only(recording)["request"] == chat(PROMPT)
    (raw,) = recording.files().values()
    assert b"loopback-key" not in raw
    assert b"private" not in raw


def test_the_server_is_asked_for_plain_text(recording: Lesson, live: OpenAIServer) -> None:
    ask(PROMPT)
    assert live.requests[0].headers["accept-encoding"] == "identity"
    assert recording.files()


def test_a_server_that_compresses_all_the_same_is_recorded(recording: Lesson, live: OpenAIServer) -> None:
    body = json.dumps(completion("반갑습니다.", LUNA)).encode()
    live.answer = Reply(body=gzip.compress(body), headers={"content-encoding": "gzip"})
    assert ask(PROMPT) == "반갑습니다."
    recording.start(mode="replay")
    assert ask(PROMPT) == "반갑습니다."


def test_a_body_that_is_no_text_reaches_the_caller_and_is_not_kept(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = Reply(body=b"\xff\xd8 picture", content_type="image/jpeg")
    headers = {"authorization": "Bearer x"}
    assert httpx2.get(f"{live.origin}/picture", headers=headers).content == b"\xff\xd8 picture"
    assert recording.files() == {}


@pytest.mark.parametrize("kind", ["raw", "multipart"])
def test_a_body_that_is_no_json_is_refused_and_not_sent(recording: Lesson, live: OpenAIServer, kind: str) -> None:
    with pytest.raises(chatkit.ChatkitError, match="녹화할 수 없어서 보내지 않았습니다"):
        if kind == "raw":
            httpx2.post(f"{live.base_url}/files", content=b"\xff\xd8")
        else:
            client().audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF\xff"))
    assert live.requests == []
    assert recording.files() == {}


# cells


def test_the_same_request_in_two_cells_is_recorded_once(recording: Lesson, live: OpenAIServer) -> None:
    rolls = iter("12")
    live.answer = lambda _body: next(rolls)
    new_cell("a")
    first = ask(PROMPT)
    new_cell("b")
    assert ask(PROMPT) == first == "1"
    assert len(live.requests) == 1
    assert texts(only(recording)) == ["1"]


def test_a_cell_run_again_records_anew(recording: Lesson, live: OpenAIServer) -> None:
    rolls = iter("12")
    live.answer = lambda _body: next(rolls)
    new_cell("a")
    ask(PROMPT)
    new_cell("a")
    assert ask(PROMPT) == "2"
    assert texts(only(recording)) == ["2"]


def test_a_later_cell_that_asks_more_often_adds_takes(recording: Lesson, live: OpenAIServer) -> None:
    rolls = iter("12")
    live.answer = lambda _body: next(rolls)
    new_cell("a")
    ask(PROMPT)
    new_cell("b")
    assert [ask(PROMPT), ask(PROMPT)] == ["1", "2"]
    assert texts(only(recording)) == ["1", "2"]


def test_constructed_recordings_are_played_and_kept(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.has(PROMPT, failure(429), constructed=True)
    before = lesson.files()
    lesson.start(mode="record")
    with pytest.raises(openai.RateLimitError):
        ask(PROMPT)
    assert live.requests == []
    assert lesson.files() == before


def test_record_mode_does_not_play_what_was_recorded_before(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.has(PROMPT, "예시")
    lesson.start(mode="record")
    assert ask(PROMPT) == live.answer
    assert only(lesson)["source"]["kind"] == "local-model"


def test_recording_what_is_missing_leaves_the_rest(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKIT_RECORD_MISSING", "1")
    lesson.has(PROMPT, "예시")
    before = lesson.files()
    lesson.start(mode="record")
    assert ask(PROMPT) == "예시"
    assert ask("누구?") == live.answer
    assert len(live.requests) == 1
    after = lesson.files()
    assert {name: after[name] for name in before} == before
    assert len(after) == 2


def test_a_new_lesson_is_recorded_into_a_new_folder(tmp_path: Path, live: OpenAIServer) -> None:
    (tmp_path / "recordings").mkdir()
    chatkit.start("99_new", mode="record", speed=0)
    assert ask(PROMPT) == live.answer
    assert len(list((tmp_path / "recordings" / "99_new").glob("*.json"))) == 1


# server-sent events

SSE = httpx2.Headers({"content-type": "text/event-stream; charset=utf-8"})


def read(*parts: bytes) -> list[Any]:
    return recorder.read_events(SSE, list(enumerate(parts)))


def parted(raw: bytes, borders: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(border % (len(raw) + 1) for border in borders), len(raw)]
    return (raw[a:b] for a, b in itertools.pairwise(edges))


RAW = (
    ': 주석\r\n\r\ndata: {"a": "가나다"}\n\nevent: 이름\r\ndata: 첫 줄\r\ndata: 둘째 줄\r\n\r\ndata:[DONE]\n\n'.encode()
)
READ = [[{"a": "가나다"}], ["첫 줄\n둘째 줄", "이름"], ["[DONE]"]]


@given(st.lists(st.integers(min_value=0, max_value=len(RAW)), max_size=8))
@example([RAW.index("가".encode()) + 1])  # inside a character
@example([RAW.index(b"\r\n") + 1])  # between CR and LF
@example(list(range(len(RAW))))
def test_events_do_not_depend_on_the_borders_of_chunks(borders: list[int]) -> None:
    assert [event[1:] for event in read(*parted(RAW, borders))] == READ


def test_an_event_has_the_time_of_the_chunk_that_ends_it() -> None:
    assert read(b"data: a\n", b"\ndata: b\n\ndata: ", b"c\n\n") == [[1, "a"], [1, "b"], [2, "c"]]


@given(st.lists(st.text().filter(lambda text: "\r" not in text and not isinstance(recorder._data(text), dict | list))))
def test_any_text_comes_through_as_it_was_sent(sent: list[str]) -> None:
    raw = b"".join(replay._event(text) for text in sent)
    assert [event[1] for event in read(raw)] == sent


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b'data: "text"\n\n', ['"text"']),
        (b"data: 1\n\n", ["1"]),
        (b"data: null\n\n", ["null"]),
        (b'data: {"broken\n\n', ['{"broken']),
        (b"data: " + b"[" * 20_000 + b"\n\n", ["[" * 20_000]),
        (b": only a comment\n\n", []),
        (b"data: never ended", []),
        (b"", []),
    ],
    ids=["string", "number", "null", "broken", "deep", "comment", "unended", "nothing"],
)
def test_odd_events_keep_their_text(raw: bytes, data: list[str]) -> None:
    assert [event[1] for event in read(raw)] == data


def test_odd_streams_reach_the_caller_and_the_recording_alike(recording: Lesson, live: OpenAIServer) -> None:
    live.answer = Reply(events=["그냥 글", '"따옴표"', "[DONE]"])
    url, body = f"{live.base_url}/chat/completions", {"stream": True}
    headers = {"authorization": "Bearer loopback-key"}
    came = httpx2.post(url, json=body, headers=headers).text
    recording.start(mode="replay")
    assert httpx2.post(url, json=body, headers=headers).text == came
