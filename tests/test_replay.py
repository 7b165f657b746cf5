"""What the SDK makes of recorded responses: its own errors, broken streams, the recorded pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest
from conftest import Lesson
from hypothesis import given
from hypothesis import strategies as st
from learner import LUNA, ask, ask_async, failure, stream, words

from chatkit import recorder, replay
from chatkit.recordings import Json

PROMPT = "안녕"


def chunk(text: str) -> Json:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": LUNA, "choices": [delta]}


def streamed(*moments: float, ms: float = 0, **more: Any) -> Json:
    """Return a recorded stream of one chunk at each moment, then `[DONE]`."""
    events = [[at, chunk(f"{at}")] for at in moments] + [[max(moments, default=ms), "[DONE]"]]
    return {"status": 200, "ms": ms, "headers": {"content-type": "text/event-stream"}, "events": events, **more}


def client(**options: Any) -> openai.OpenAI:
    return openai.OpenAI(**{"max_retries": 0, **options})


def pieces(opened: Any) -> Iterator[str]:
    for part in opened:
        yield from words([part])


async def pieces_async(asynchronous: openai.AsyncOpenAI) -> AsyncIterator[str]:
    messages = [{"role": "user", "content": PROMPT}]
    async for part in await asynchronous.chat.completions.create(model=LUNA, messages=messages, stream=True):
        for word in words([part]):
            yield word


# errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (418, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("opened", [False, True], ids=["whole", "streamed"])
def test_the_sdk_raises_its_own_error_for_a_status(
    lesson: Lesson, status: int, kind: type[openai.APIStatusError], opened: bool
) -> None:
    body = {"stream": True} if opened else {}
    lesson.plays(PROMPT, failure(status, "a_code", "그럴 수 없습니다.", x_request_id="req_7"), **body)
    lesson.start()
    with pytest.raises(openai.APIStatusError) as error:
        ask(PROMPT, client(), **body)
    assert type(error.value) is kind
    assert (error.value.status_code, error.value.code, error.value.request_id) == (status, "a_code", "req_7")
    assert "그럴 수 없습니다." in str(error.value)


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        ("timeout", openai.APITimeoutError, httpx2.ReadTimeout),
        ("refused", openai.APIConnectionError, httpx2.ConnectError),
        ("reset", openai.APIConnectionError, httpx2.ReadError),
    ],
)
def test_the_sdk_raises_its_own_error_for_a_fault(
    lesson: Lesson, fault: str, kind: type[Exception], cause: type[Exception]
) -> None:
    lesson.plays(PROMPT, {"fault": fault})
    lesson.start()

    async def asynchronous() -> None:
        async with openai.AsyncOpenAI(max_retries=0) as other:
            await ask_async(PROMPT, other)

    for attempt in (lambda: ask(PROMPT, client()), lambda: asyncio.run(asynchronous())):
        with pytest.raises(openai.APIConnectionError) as error:
            attempt()
        assert type(error.value) is kind
        assert type(error.value.__cause__) is cause


def test_a_recorded_timeout_is_not_waited_for(lesson: Lesson, clock: Clock) -> None:
    lesson.plays(PROMPT, {"fault": "timeout"})
    lesson.start(speed=1)
    with pytest.raises(openai.APITimeoutError):
        ask(PROMPT, client())
    assert clock.waits == []


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_cut_stream_keeps_what_came_and_then_breaks(lesson: Lesson, cut: int) -> None:
    lesson.plays(PROMPT, streamed(1, 2, 3, cut=cut), stream=True)
    lesson.start()
    came = []
    with pytest.raises(openai.APIConnectionError) as error:
        for piece in pieces(stream(PROMPT, client())):
            came.append(piece)
    assert isinstance(error.value.__cause__, httpx2.RemoteProtocolError)
    assert came == ["1", "2", "3"][:cut]


def test_a_cut_stream_breaks_for_the_async_client_too(lesson: Lesson) -> None:
    lesson.plays(PROMPT, streamed(1, 2, 3, cut=2), stream=True)
    lesson.start()
    came = []

    async def read() -> None:
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            async for piece in pieces_async(asynchronous):
                came.append(piece)

    with pytest.raises(openai.APIConnectionError):
        asyncio.run(read())
    assert came == ["1", "2"]


def test_an_error_object_inside_a_stream_is_the_sdks_api_error(lesson: Lesson) -> None:
    error_event = [2, {"error": {"message": "서버가 멈췄습니다.", "type": "server_error", "code": None}}]
    response = streamed(1)
    response["events"][1:] = [error_event]
    lesson.plays(PROMPT, response, stream=True)
    lesson.start()
    opened = pieces(stream(PROMPT, client()))
    assert next(opened) == "1"
    with pytest.raises(openai.APIError, match="서버가 멈췄습니다") as error:
        next(opened)
    assert not isinstance(error.value, openai.APIConnectionError | openai.APIStatusError)


def test_a_named_event_keeps_its_name(lesson: Lesson) -> None:
    request = {"method": "GET", "url": "events.example/now"}
    headers = {"content-type": "text/event-stream"}
    events = [[1, {"a": 1}, "tick"], [2, "두 줄\n입니다"]]
    lesson.holds(request, {"status": 200, "headers": headers, "events": events})
    lesson.start()
    assert httpx2.get("https://events.example/now").text == (
        'event: tick\ndata: {"a": 1}\n\ndata: 두 줄\ndata: 입니다\n\n'
    )


def test_headers_and_a_text_body_come_as_recorded(lesson: Lesson) -> None:
    request = {"method": "GET", "url": "text.example/"}
    lesson.holds(request, {"status": 203, "headers": {"content-type": "text/plain; charset=utf-8"}, "body": "한글"})
    lesson.start()
    reply = httpx2.get("https://text.example/")
    assert (reply.status_code, reply.text, reply.headers["content-type"]) == (203, "한글", "text/plain; charset=utf-8")


def test_a_lone_surrogate_in_a_reply_does_not_break_it(lesson: Lesson) -> None:
    lesson.has(PROMPT, "반쪽 \ud83d", stream=True)
    lesson.start()
    assert "".join(words(stream(PROMPT, client()))).startswith("반쪽 ")


json_objects = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict | list))
plain_text = st.text().map(lambda text: text.replace("\r", "")).filter(lambda text: not _is_json(text))


def _is_json(text: str) -> bool:
    return isinstance(recorder._data(text), dict | list)


@given(st.lists(json_objects | plain_text, max_size=5))
def test_what_is_replayed_is_recorded_as_the_same_events(data: list[Any]) -> None:
    response = {"status": 200, "events": [[0, item] for item in data]}
    body = replay.PacedStream(response, httpx2.Request("GET", "https://x.example"), replay.Pace(0))
    headers = httpx2.Headers({"content-type": "text/event-stream"})
    assert recorder.read_events(headers, [(0, part) for part in body]) == response["events"]


# pace


class Clock:
    """A clock that a wait moves on, in place of time and anyio."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self.time = SimpleNamespace(perf_counter=lambda: self.now, sleep=self._sleep)
        self.anyio = SimpleNamespace(sleep=self._sleep_async)

    def _sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now += seconds

    async def _sleep_async(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds:
            self._sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(replay, "time", fake.time)
    monkeypatch.setattr(replay, "anyio", fake.anyio)
    return fake


@pytest.mark.parametrize(
    ("speed", "waits"),
    [(1, [0.2, 0.1, 0.3, 0.4]), (2, [0.1, 0.05, 0.15, 0.2]), (0.5, [0.4, 0.2, 0.6, 0.8]), (0, [])],
)
def test_a_stream_comes_at_the_recorded_pace(lesson: Lesson, clock: Clock, speed: float, waits: list[float]) -> None:
    lesson.plays(PROMPT, streamed(300, 600, 1_000, ms=200), stream=True)
    lesson.start(speed=speed)
    assert list(pieces(stream(PROMPT, client()))) == ["300", "600", "1000"]
    assert clock.waits == pytest.approx(waits)


def test_the_async_client_gets_the_same_pace(lesson: Lesson, clock: Clock) -> None:
    lesson.plays(PROMPT, streamed(300, 600, ms=200), stream=True)
    lesson.start(speed=1)

    async def read() -> list[str]:
        async with openai.AsyncOpenAI() as asynchronous:
            return [piece async for piece in pieces_async(asynchronous)]

    assert asyncio.run(read()) == ["300", "600"]
    assert clock.waits == pytest.approx([0.2, 0.1, 0.3])


def test_the_speed_may_come_from_the_environment(lesson: Lesson, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_SPEED", "4")
    lesson.plays(PROMPT, failure(404))
    lesson.start(speed=None)
    with pytest.raises(openai.NotFoundError):
        ask(PROMPT, client())
    assert clock.waits == pytest.approx([0.001 / 4], abs=1e-6)


def test_each_event_is_handed_over_before_the_next_is_waited_for(lesson: Lesson, clock: Clock) -> None:
    lesson.plays(PROMPT, streamed(100, 200, 300), stream=True)
    lesson.start(speed=1)
    seen = [(piece, round(clock.now - 100, 6)) for piece in pieces(stream(PROMPT, client()))]
    assert seen == [("100", 0.1), ("200", 0.2), ("300", 0.3)]


def test_a_slow_reader_is_not_delayed_further(lesson: Lesson, clock: Clock) -> None:
    lesson.plays(PROMPT, streamed(100, 200, 300, 2_000), stream=True)
    lesson.start(speed=1)
    opened = pieces(stream(PROMPT, client()))
    next(opened)
    clock.now += 1  # the reader thinks
    assert (next(opened), next(opened)) == ("200", "300")
    assert clock.waits == pytest.approx([0.1])
    next(opened)
    assert clock.waits == pytest.approx([0.1, 0.9])


# timeouts of the client


@pytest.mark.parametrize("speed", [0, 1, 50])
def test_an_answer_slower_than_the_clients_patience_times_out(lesson: Lesson, clock: Clock, speed: float) -> None:
    lesson.plays(PROMPT, {**failure(404), "ms": 5_000})
    lesson.start(speed=speed)
    with pytest.raises(openai.APITimeoutError):
        ask(PROMPT, client(timeout=2))
    assert clock.waits == pytest.approx([2 / speed] if speed else [])


@pytest.mark.parametrize("speed", [0, 1, 50])
def test_a_gap_longer_than_the_clients_patience_times_out(lesson: Lesson, clock: Clock, speed: float) -> None:
    lesson.plays(PROMPT, streamed(1_000, 2_000, 9_000, ms=500), stream=True)
    lesson.start(speed=speed)
    opened = pieces(stream(PROMPT, client(timeout=2)))
    assert [next(opened), next(opened)] == ["1000", "2000"]
    with pytest.raises(openai.APITimeoutError):
        next(opened)
    assert clock.now - 100 == pytest.approx(4 / speed if speed else 0)


def test_a_long_stream_of_short_gaps_does_not_time_out(lesson: Lesson) -> None:
    lesson.plays(PROMPT, streamed(*range(1_000, 10_000, 1_000), ms=500), stream=True)
    lesson.start()
    assert len(list(pieces(stream(PROMPT, client(timeout=2))))) == 9


def test_a_client_without_a_timeout_waits_as_long_as_recorded(lesson: Lesson) -> None:
    lesson.plays(PROMPT, {**failure(404), "ms": 10_000_000})
    lesson.start()
    with pytest.raises(openai.NotFoundError):
        ask(PROMPT, client(timeout=None))


def test_an_async_gap_times_out_too(lesson: Lesson) -> None:
    lesson.plays(PROMPT, streamed(1_000, 9_000), stream=True)
    lesson.start()
    came = []

    async def read() -> None:
        async with openai.AsyncOpenAI(max_retries=0, timeout=2) as asynchronous:
            async for piece in pieces_async(asynchronous):
                came.append(piece)

    with pytest.raises(openai.APITimeoutError):
        asyncio.run(read())
    assert came == ["1000"]


def test_replay_does_not_hold_up_the_event_loop(lesson: Lesson, clock: Clock) -> None:
    lesson.plays(PROMPT, {**failure(404), "ms": 30})
    lesson.start(speed=1)

    async def both() -> None:
        asleep, meanwhile = asyncio.Event(), asyncio.Event()

        async def sleep(_seconds: float) -> None:
            asleep.set()
            await meanwhile.wait()

        clock.anyio.sleep = sleep
        async with openai.AsyncOpenAI(max_retries=0) as asynchronous:
            asking = asyncio.create_task(ask_async(PROMPT, asynchronous))
            await asyncio.wait_for(asleep.wait(), 5)
            meanwhile.set()
            with pytest.raises(openai.NotFoundError):
                await asking

    asyncio.run(both())
    assert clock.waits == []
