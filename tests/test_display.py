"""A streamed reply as it is shown: in a terminal, and in a real kernel."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Empty
from typing import Any

import openai
import pytest
from conftest import Lesson
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.manager import KernelManager
from learner import LUNA, stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai_server import OpenAIServer, Reply, completion

import chatkit
from chatkit.markdown import safe
from chatkit.messages import say
from chatkit.recordings import Json

PROMPT = "세 도시를 말해 줘"
MESSAGES = [{"role": "user", "content": PROMPT}]
PATIENCE = 60  # seconds until a broken test ends


def chunk(content: str | None = None, finish: str | None = None, *, index: int = 0, **delta: Any) -> Json:
    """Return a chunk of one choice, as it is on the wire."""
    choice = {"index": index, "delta": {"content": content, **delta}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": LUNA, "choices": [choice]}


def chunks(*wire: Json) -> list[ChatCompletionChunk]:
    # As the SDK makes them: what is missing or wrong is let through.
    return [ChatCompletionChunk.construct(**each) for each in wire]


def recorded(*wire: Json, done: bool = True, **more: Any) -> Json:
    """Return a recorded stream of one chunk every 100 ms, the first after 300."""
    events: list[Any] = [[300 + 100 * number, each] for number, each in enumerate(wire)]
    events += [[events[-1][0] if events else 300, "[DONE]"]] if done else []
    return {"status": 200, "ms": 300, "headers": {"content-type": "text/event-stream"}, "events": events, **more}


CITIES = [chunk("", role="assistant"), chunk("서울"), chunk(", 부산"), chunk(", 제주"), chunk(finish="stop")]
USAGE = {**chunk(), "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}


# the ways in


def create(**options: Any) -> Any:
    return chatkit.stream(stream(PROMPT, openai.OpenAI(max_retries=0)), **options)


async def create_async() -> Any:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        opened = await client.chat.completions.create(model=LUNA, messages=MESSAGES, stream=True)
        return await chatkit.stream(opened)


def events() -> Any:
    with openai.OpenAI(max_retries=0).chat.completions.stream(model=LUNA, messages=MESSAGES) as opened:
        return chatkit.stream(opened)


async def events_async() -> Any:
    client = openai.AsyncOpenAI(max_retries=0)
    async with client, client.chat.completions.stream(model=LUNA, messages=MESSAGES) as opened:
        return await chatkit.stream(opened)


WAYS: dict[str, Callable[[], Any]] = {
    "create": create,
    "create, async": lambda: asyncio.run(create_async()),
    "stream": events,
    "stream, async": lambda: asyncio.run(events_async()),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def plays(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Let the next requests be answered with a recorded stream."""

    def start(*wire: Json, **more: Any) -> None:
        lesson.plays(PROMPT, recorded(*wire, **more), stream=True)
        lesson.start()
        capsys.readouterr()

    return start


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# what is returned, and printed where there is no notebook


@every_way
def test_a_reply_is_printed_and_returned_with_its_recorded_times(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str], way: Callable[[], Any]
) -> None:
    plays(*CITIES, USAGE)
    reply = way()
    assert said(capsys) == "서울, 부산, 제주\n"
    assert (reply.text, reply.texts, reply.finish_reason) == ("서울, 부산, 제주", ["서울, 부산, 제주"], "stop")
    assert (reply.refusal, reply.tool_calls) == ("", [])
    assert reply.usage.total_tokens == 14
    assert (reply.times, reply.time_to_first_token, reply.seconds) == ([0.4, 0.5, 0.6], 0.4, 0.8)
    assert repr(reply) == "Reply(3 pieces, 10 characters, finish_reason='stop')"


def test_any_iterable_of_chunks_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert chatkit.stream(chunks(*CITIES)).text == "서울, 부산, 제주"
    assert chatkit.stream(each for each in chunks(*CITIES)).text == "서울, 부산, 제주"


def test_without_usage_there_is_none(plays: Callable[..., None]) -> None:
    plays(*CITIES)
    assert create().usage is None


def test_a_piece_is_printed_when_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    def arriving() -> Iterator[ChatCompletionChunk]:
        for each in chunks(chunk("하나"), chunk(" 둘")):
            yield each
            printed.append(said(capsys))

    printed: list[str] = []
    chatkit.stream(arriving())
    assert printed == ["하나", " 둘"]


def test_a_refusal_is_told(plays: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    plays(chunk(refusal="도울 "), chunk(refusal="수 없습니다."), chunk(finish="stop"))
    reply = create()
    assert (reply.text, reply.refusal) == ("", "도울 수 없습니다.")
    assert said(capsys) == say("stream_refusal", text="도울 수 없습니다.") + "\n"
    assert reply.times == [0.3, 0.4]


def call(index: int, arguments: str, name: str | None = None, call_id: str | None = None) -> Json:
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@every_way
def test_tool_calls_are_put_together_from_their_pieces(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str], way: Callable[[], Any]
) -> None:
    plays(
        chunk(tool_calls=[call(0, "", "get_weather", "call_1")]),
        chunk(tool_calls=[call(0, '{"city": ')]),
        chunk(tool_calls=[call(1, "", "get_time", "call_2"), call(0, '"서울"}')]),
        chunk(tool_calls=[call(1, "{}")]),
        chunk(finish="tool_calls"),
    )
    reply = way()
    assert reply.tool_calls == [
        {"id": "call_1", "name": "get_weather", "arguments": '{"city": "서울"}'},
        {"id": "call_2", "name": "get_time", "arguments": "{}"},
    ]
    assert reply.finish_reason == "tool_calls"
    first, second = said(capsys).strip().split("\n\n")
    assert first == say("stream_tool_call", call='`get_weather({"city": "서울"})`')
    assert second == say("stream_tool_call", call="`get_time({})`")


@pytest.mark.parametrize(
    ("reason", "note"),
    [("length", "stream_length"), ("content_filter", "stream_filtered"), (None, "stream_unfinished")],
)
def test_a_reply_that_did_not_end_well_says_so(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str], reason: str | None, note: str
) -> None:
    plays(chunk("서울"), chunk(finish=reason))
    assert create().finish_reason == reason
    assert said(capsys) == f"서울\n\n{say(note)}\n"


def test_a_stream_that_ends_early_without_an_error_says_so(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plays(chunk("서울"), done=False)
    create()
    assert said(capsys) == f"서울\n\n{say('stream_unfinished')}\n"


def test_the_last_chunk_may_come_without_a_delta(capsys: pytest.CaptureFixture[str]) -> None:
    last = chunk(finish="stop")
    last["choices"][0]["delta"] = None
    assert chatkit.stream(chunks(chunk("서울"), last)).finish_reason == "stop"
    assert said(capsys) == "서울\n"


def test_several_choices_are_kept_apart(plays: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    plays(
        *(chunk(text, index=index) for text, index in [("가", 1), ("나", 0), ("다", 1), ("라", 0)]),
        *(chunk(finish="stop", index=index) for index in (1, 0)),
    )
    reply = create()
    assert (reply.texts, reply.text, reply.finish_reason) == (["나라", "가다"], "나라", "stop")
    printed = said(capsys)
    for n, text in enumerate(reply.texts, 1):
        assert say("stream_choice", n=n, text=text) in printed


def test_the_first_choice_that_ended_badly_is_told(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plays(chunk("가", "stop", index=0), chunk("나", "length", index=1))
    assert create().finish_reason == "stop"
    assert said(capsys).endswith(f"{say('stream_length')}\n")


def test_an_empty_stream_says_so(plays: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    plays()
    reply = create()
    assert (reply.text, reply.times, reply.time_to_first_token, reply.seconds) == ("", [], None, 0.0)
    assert said(capsys) == say("stream_empty") + "\n"


# a stream that breaks


@every_way
def test_a_broken_stream_keeps_what_came_and_raises_the_sdks_error(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str], way: Callable[[], Any]
) -> None:
    plays(*CITIES, cut=3)
    with pytest.raises(openai.APIConnectionError) as error:
        way()
    assert type(error.value) is openai.APIConnectionError
    assert said(capsys) == f"서울, 부산\n\n{say('stream_broken')}\n"


def test_a_stream_that_stalls_keeps_what_came_and_times_out(
    plays: Callable[..., None], lesson: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    response = recorded(*CITIES)
    response["events"][3][0] += 60_000
    lesson.plays(PROMPT, response, stream=True)
    lesson.start()
    capsys.readouterr()
    with pytest.raises(openai.APITimeoutError):
        chatkit.stream(stream(PROMPT, openai.OpenAI(max_retries=0, timeout=5)))
    assert said(capsys) == f"서울, 부산\n\n{say('stream_broken')}\n"


def test_an_error_inside_the_stream_keeps_what_came(
    plays: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plays(chunk("서울"), {"error": {"message": "서버가 멈췄습니다.", "type": "server_error", "code": None}})
    with pytest.raises(openai.APIError, match="서버가 멈췄습니다"):
        create()
    assert said(capsys) == f"서울\n\n{say('stream_broken')}\n"


class Stopping:
    """Two chunks, then an exception; remembers whether it was closed."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.closed = error, False

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        yield from chunks(*CITIES[:3])
        raise self.error

    def close(self) -> None:
        self.closed = True


class StoppingAsync(Stopping):
    """The same for an asynchronous stream."""

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        for each in chunks(*CITIES[:3]):
            yield each
        raise self.error

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "note"), [(asyncio.CancelledError(), "stream_stopped"), (OSError("weg"), "stream_broken")]
)
def test_an_asynchronous_stream_is_closed_too(
    capsys: pytest.CaptureFixture[str], error: BaseException, note: str
) -> None:
    stopping = StoppingAsync(error)
    with pytest.raises(type(error)):
        asyncio.run(chatkit.stream(stopping))
    assert said(capsys) == f"서울, 부산\n\n{say(note)}\n"
    assert stopping.closed


def test_an_interrupted_stream_keeps_what_came_and_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    stopping = Stopping(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        chatkit.stream(stopping)
    assert said(capsys) == f"서울, 부산\n\n{say('stream_stopped')}\n"
    assert stopping.closed


def test_a_cancelled_stream_keeps_what_came_and_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    async def endless(came: asyncio.Event) -> AsyncIterator[ChatCompletionChunk]:
        try:
            for each in chunks(*CITIES[:3]):
                yield each
            came.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def cancel() -> None:
        came = asyncio.Event()
        task = asyncio.ensure_future(chatkit.stream(endless(came)))
        await came.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert said(capsys) == f"서울, 부산\n\n{say('stream_stopped')}\n"
    assert closed == [True]


@pytest.mark.parametrize(
    ("wire", "more"),
    [(CITIES, {}), (CITIES, {"cut": 2}), ([chunk("서울"), {"error": {"message": "x"}}], {}), ([], {})],
    ids=["to its end", "cut", "with an error inside", "empty"],
)
def test_the_response_is_closed_however_the_stream_ended(
    plays: Callable[..., None], wire: list[Json], more: dict[str, Any]
) -> None:
    plays(*wire, **more)
    opened = stream(PROMPT, openai.OpenAI(max_retries=0))
    with contextlib.suppress(openai.APIError):
        chatkit.stream(opened)
    assert opened.response.is_closed


def test_a_response_is_closed_when_showing_it_fails(
    plays: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError("no space left")

    plays(*CITIES)
    opened = stream(PROMPT, openai.OpenAI(max_retries=0))
    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(OSError, match="no space left"):
        chatkit.stream(opened)
    assert opened.response.is_closed


# what it does not take


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ChatCompletion.model_validate(completion("안녕", LUNA)), say("stream_not_streamed")),
        (lambda: openai.OpenAI().chat.completions.stream(model=LUNA, messages=MESSAGES), say("stream_not_entered")),
        (lambda: 3, say("stream_nothing", got="int")),
        (lambda: None, say("stream_nothing", got="NoneType")),
        (lambda: ["안녕"], say("stream_item", got="str")),
        (lambda: "안녕", say("stream_item", got="str")),
        (lambda: [{"choices": []}], say("stream_item", got="dict")),
    ],
    ids=["completion", "manager", "int", "None", "list of str", "str", "dicts"],
)
def test_what_is_no_stream_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], message: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "nobody's")
    with pytest.raises(chatkit.ChatkitError) as error:
        chatkit.stream(make())
    assert str(error.value) == message


def test_a_request_that_was_not_awaited_is_refused_with_what_to_do() -> None:
    waiting = coroutine()
    with pytest.raises(chatkit.ChatkitError) as error:
        chatkit.stream(waiting)
    assert str(error.value) == say("stream_not_awaited")
    waiting.close()


@pytest.mark.parametrize("fps", [-1, float("nan"), float("inf"), "빨리", [10]])
def test_a_bad_frame_rate_is_refused_before_anything_is_read(fps: Any) -> None:
    untouched = iter(chunks(*CITIES))
    with pytest.raises(chatkit.ChatkitError) as error:
        chatkit.stream(untouched, fps=fps)
    assert str(error.value) == say("bad_number", name="fps(CHATKIT_FPS)", got=fps)
    assert len(list(untouched)) == len(CITIES)


def test_a_bad_frame_rate_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_FPS", "빨리")
    with pytest.raises(chatkit.ChatkitError) as error:
        chatkit.stream(chunks(*CITIES))
    assert str(error.value) == say("bad_number", name="fps(CHATKIT_FPS)", got="빨리")
    assert chatkit.stream(chunks(*CITIES), fps=5).finish_reason == "stop"


# measured times


class SlowTerminal(io.StringIO):
    def write(self, text: str) -> int:
        if "\n" in text:
            threading.Event().wait(0.1)
        return super().write(text)


@every_way
def test_live_times_count_from_the_request_however_long_showing_takes(
    live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, way: Callable[[], Any]
) -> None:
    def slow(body: Any) -> Reply:
        received = time.perf_counter()
        threading.Event().wait(0.1)
        thinking.append(time.perf_counter() - received)
        return Reply("하나 둘")

    thinking: list[float] = []
    live.answer = slow
    monkeypatch.setattr(sys, "stdout", SlowTerminal())
    asked = time.perf_counter()
    reply = way()
    assert reply.text == "하나 둘 "
    assert thinking[0] / 2 < reply.times[0] <= reply.times[1] <= reply.seconds < time.perf_counter() - asked


def test_chunks_from_nowhere_are_timed_from_when_reading_began() -> None:
    reply = chatkit.stream(chunks(*CITIES))
    assert 0 <= reply.times[0] <= reply.times[-1] <= reply.seconds


# in a kernel

SETUP = """
import asyncio, json, os, socket, threading
from unittest.mock import patch
import chatkit, openai
from openai.types.chat import ChatCompletionChunk

def chunk(content, finish=None):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    fields = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna", "choices": [choice]}
    return ChatCompletionChunk.construct(**fields)

def said(pieces):
    yield from map(chunk, pieces)
    yield chunk("", "stop")

def arriving(port):
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile(encoding="utf-8") as lines:
        yield from said(map(json.loads, lines))

async def arriving_async(port):
    lines, line = await asyncio.open_connection("127.0.0.1", port)
    try:
        async for each in lines:
            yield chunk(json.loads(each))
        yield chunk("", "stop")
    finally:
        line.close()
"""
SHOWN = ("display_data", "update_display_data", "clear_output", "stream", "error", "execute_result")


class Kernel:
    """A kernel, and what the cell that runs in it has shown so far."""

    def __init__(self) -> None:
        self._manager = KernelManager(kernel_name="python3")
        quiet = {name: value for name, value in os.environ.items() if not name.startswith(("CHATKIT_", "OPENAI_"))}
        self._manager.start_kernel(env=quiet)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def start(self, source: str) -> None:
        """Run a cell without waiting for it."""
        self._cell = self._client.execute(source, store_history=False)

    def run(self, source: str) -> list[Json]:
        """Run a cell and return all that it showed."""
        self.start(source)
        return self.rest()

    def rest(self) -> list[Json]:
        """Return what the running cell still shows, to its end."""
        return list(iter(self.next, None))

    def next(self, timeout: float = PATIENCE) -> Json | None:
        """Return the next thing that the running cell shows, or None at its end.

        Raises:
            queue.Empty: nothing came in time.
        """
        while True:
            message = self._client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != self._cell:
                continue
            if message["content"].get("execution_state") == "idle":
                return None
            if message["msg_type"] in SHOWN:
                return {"type": message["msg_type"], **message["content"]}

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def stop(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


class Line:
    """What a stream in the kernel reads from, piece by piece."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.settimeout(PATIENCE)
        self.port = self._door.getsockname()[1]

    def opened(self) -> Line:
        self._line, _ = self._door.accept()
        self._line.settimeout(PATIENCE)
        return self

    def say(self, piece: str) -> None:
        self._line.sendall(f"{json.dumps(piece)}\n".encode())

    def end(self) -> None:
        self._line.close()

    def is_closed_by_the_reader(self) -> bool:
        return self._line.recv(1) == b""

    def stop(self) -> None:
        self.end()
        self._door.close()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    running = Kernel()
    try:
        running.run(SETUP)
        yield running
    finally:
        running.stop()


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line()
    yield opened
    opened.stop()


SYNC, ASYNC = "reply = chatkit.stream(arriving({}))", "reply = await chatkit.stream(arriving_async({}))"
sync_and_async = pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])


def started(kernel: Kernel, line: Line, source: str) -> Line:
    kernel.start(source.format(line.port))
    return line.opened()


def bundle(markdown: str, plain: str | None = None) -> Json:
    return {"text/markdown": markdown, "text/plain": markdown if plain is None else plain}


ASK = f"(model={LUNA!r}, messages={MESSAGES!r}"
SOURCES = {
    "create": f"_ = chatkit.stream(openai.OpenAI().chat.completions.create{ASK}, stream=True))",
    "create, async": f"_ = await chatkit.stream(await openai.AsyncOpenAI().chat.completions.create{ASK}, stream=True))",
    "stream": f"with openai.OpenAI().chat.completions.stream{ASK}) as events:\n    chatkit.stream(events)",
    "stream, async": f"async with openai.AsyncOpenAI().chat.completions.stream{ASK}) as events:\n"
    "    await chatkit.stream(events)",
}


@pytest.fixture
def replaying(kernel: Kernel, lesson: Lesson) -> Iterator[Callable[..., Kernel]]:
    """Let the kernel's next requests be answered with a recorded stream."""

    def start(*wire: Json, **more: Any) -> Kernel:
        lesson.plays(PROMPT, recorded(*wire, **more), stream=True)
        kernel.run(f"chatkit.start('01_test', speed=0, folder={str(lesson.root)!r})")
        return kernel

    yield start
    kernel.run("chatkit.stop()")


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_fast_replay_is_one_plain_output_and_the_same_each_time(
    replaying: Callable[..., Kernel], source: str
) -> None:
    kernel = replaying(*CITIES)
    shown = {"type": "display_data", "data": bundle("서울, 부산, 제주"), "metadata": {}, "transient": {}}
    assert kernel.run(source) == kernel.run(source) == [shown]


def test_a_replay_at_once_is_one_output_however_slow_the_machine(replaying: Callable[..., Kernel]) -> None:
    kernel = replaying(*[chunk("가")] * 1_000, chunk(finish="stop"))
    kernel.run("os.environ['CHATKIT_FPS'] = '100000'")
    (shown,) = kernel.run(SOURCES["create"])
    kernel.run("del os.environ['CHATKIT_FPS']")
    assert shown["data"] == bundle("가" * 1_000)


@sync_and_async
def test_what_came_is_shown_while_the_server_is_silent_in_one_output_that_grows(
    kernel: Kernel, line: Line, source: str
) -> None:
    open_line = started(kernel, line, source)
    open_line.say("<b>하나")
    first = kernel.next()
    open_line.say(" 둘")
    second = kernel.next()
    open_line.end()
    (last,) = kernel.rest()
    names = [shown["transient"].get("display_id") for shown in (first, second, last)]
    assert names[0] and names == names[:1] * 3
    assert [shown["type"] for shown in (first, second, last)] == ["display_data", *["update_display_data"] * 2]
    assert [shown["data"] for shown in (first, second, last)] == [
        bundle("&lt;b>하나", ""),
        bundle("&lt;b>하나 둘", ""),
        bundle("&lt;b>하나 둘", "<b>하나 둘"),
    ]


@sync_and_async
def test_the_stop_button_keeps_what_came_says_so_and_closes_the_stream(kernel: Kernel, line: Line, source: str) -> None:
    open_line = started(kernel, line, source)
    open_line.say("하나")
    kernel.next()
    kernel.interrupt()
    last, error = kernel.rest()
    note = say("stream_stopped")
    assert last["data"] == bundle(f"하나\n\n*{note}*", f"하나\n\n{note}")
    assert error["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert open_line.is_closed_by_the_reader()


def test_a_frame_that_is_late_never_covers_the_last_one(kernel: Kernel) -> None:
    shown = kernel.run("""
painting, over = threading.Event(), threading.Event()

def late(text):
    if threading.current_thread() is not threading.main_thread():
        painting.set()
        over.wait(10)
        threading.Event().wait(0.1)
    return text

def two():
    yield chunk("하나")
    painting.wait(10)
    yield chunk(" 둘", "stop")
    over.set()

with patch("chatkit.display.safe", late):
    chatkit.stream(two())
""")
    assert [each["data"] for each in shown] == [bundle("하나", ""), bundle("하나 둘")]


def test_nothing_goes_on_after_the_end(kernel: Kernel, line: Line) -> None:
    after = "; await asyncio.sleep(0); print(len(asyncio.all_tasks() - before), threading.active_count() - threads)"
    kernel.start(f"before, threads = asyncio.all_tasks(), threading.active_count(); {ASYNC.format(line.port)}{after}")
    line.opened().end()
    assert kernel.rest()[-1]["text"] == "0 0\n"


def test_two_streams_at_once_are_two_outputs(kernel: Kernel) -> None:
    lines = [Line(), Line()]
    streams = ", ".join(f"chatkit.stream(arriving_async({line.port}))" for line in lines)
    kernel.start(f"replies = await asyncio.gather({streams})")
    for line, text in zip(lines, ["하나", "둘"], strict=True):
        line.opened().say(text)
    first = [kernel.next() for _ in lines]
    for line in lines:
        line.stop()
    last = kernel.rest()
    for shown in (first, last):
        assert {each["data"]["text/markdown"] for each in shown} == {"하나", "둘"}
    assert len({each["transient"]["display_id"] for each in [*first, *last]}) == 2


@pytest.mark.parametrize(
    ("source", "environment"),
    [(SYNC, "0"), (ASYNC, "0"), (SYNC.replace("))", "), fps=0)"), "30")],
    ids=["sync", "async", "fps=0"],
)
def test_at_no_frames_a_second_the_last_one_is_shown_alone(
    kernel: Kernel, line: Line, source: str, environment: str
) -> None:
    kernel.run(f"os.environ['CHATKIT_FPS'] = {environment!r}")
    open_line = started(kernel, line, source)
    open_line.say("하나")
    with pytest.raises(Empty):
        kernel.next(timeout=0.3)
    open_line.end()
    (shown,) = kernel.rest()
    kernel.run("del os.environ['CHATKIT_FPS']")
    assert (shown["type"], shown["data"], shown["transient"]) == ("display_data", bundle("하나"), {})


def test_without_threads_what_came_is_shown_with_the_next_piece(kernel: Kernel, line: Line) -> None:
    no_threads = (
        'with patch.object(threading.Thread, "start", side_effect=RuntimeError("can\'t start new thread")):\n    '
    )
    open_line = started(kernel, line, no_threads + SYNC)
    sent = 0
    while sent < 200:
        open_line.say("가")
        sent += 1
        with contextlib.suppress(Empty):
            shown = kernel.next(timeout=0.02)
            break
    else:
        pytest.fail("nothing was shown before the end")
    open_line.end()
    assert shown["type"] == "display_data"
    assert set(shown["data"]["text/markdown"]) == {"가"}
    assert kernel.rest()[-1]["data"] == bundle("가" * sent)


def test_a_broken_stream_is_shown_above_the_sdks_error(replaying: Callable[..., Kernel]) -> None:
    shown, error = replaying(*CITIES, cut=3).run(SOURCES["create"])
    note = say("stream_broken")
    assert shown["data"] == bundle(f"서울, 부산\n\n*{note}*", f"서울, 부산\n\n{note}")
    assert error["ename"] == "APIConnectionError"


def test_choices_refusals_and_tool_calls_are_one_output_too(replaying: Callable[..., Kernel]) -> None:
    wire = [
        chunk("<i>가", index=0),
        chunk("나", index=1),
        chunk(refusal="<b>싫습니다"),
        chunk(tool_calls=[call(0, '{"html": "<p>"}', "show", "call_1")]),
        chunk(finish="tool_calls"),
    ]
    (shown,) = replaying(*wire).run(SOURCES["create"])
    assert shown["data"]["text/markdown"].split("\n\n") == [
        *("**후보 1**", "&lt;i>가", "**후보 2**", "나"),
        say("stream_refusal", text="&lt;b>싫습니다"),
        say("stream_tool_call", call=safe('`show({"html": "<p>"})`')),
    ]


def test_a_bad_frame_rate_is_refused_in_a_kernel_too(kernel: Kernel) -> None:
    (error,) = kernel.run("chatkit.stream(said('가'), fps=-1)")
    assert (error["ename"], error["evalue"]) == ("ChatkitError", say("bad_number", name="fps(CHATKIT_FPS)", got=-1))


texts = st.lists(
    st.text() | st.sampled_from(["👩‍👩‍👧‍👦", "한", "\u1112\u1161", "e\u0301", "\x1b[31m", "\r\n", "```\n", "$"])
)


@settings(deadline=None)
@given(texts)
def test_nothing_is_lost_in_a_kernel(kernel: Kernel, pieces: list[str]) -> None:
    (shown,) = kernel.run(f"chatkit.stream(said(json.loads({json.dumps(pieces)!r})));None")
    assert shown["data"] == bundle(safe("".join(pieces)), "".join(pieces))


@settings(deadline=None)
@given(texts)
def test_nothing_is_lost_in_a_terminal(pieces: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO(newline="")) as out:
        reply = chatkit.stream(chunks(*map(chunk, pieces), chunk(finish="stop")))
    assert out.getvalue() == f"{reply.text}\n" == "".join(pieces) + "\n"


def test_halves_of_a_sign_are_shown_whole_and_a_lone_one_does_no_harm(kernel: Kernel) -> None:
    (shown,) = kernel.run("chatkit.stream(said(['\\ud83d', '\\ude00', ' \\ud83d']));None")
    assert shown["data"] == bundle("😀 \ufffd")
