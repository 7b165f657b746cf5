"""Show a streamed reply in a notebook as it arrives, and leave one clean output."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import math
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, overload

from chatkit.errors import ChatkitError
from chatkit.markdown import safe
from chatkit.messages import say

FPS = 10.0
# JupyterLab renders some 70,000 characters of Markdown a second with a third of its main thread. A text over 10,000 is
# painted less often, and ever less as it grows, so that what is sent stays in proportion to the reply.
_CHARS_PER_SECOND, _LONG = 70_000, 10_000
_NOTES = {"length": "stream_length", "content_filter": "stream_filtered"}


@dataclass
class Reply:
    """What a stream brought.

    `texts` holds one text a choice, `times` the seconds from the request to each piece of them, `seconds` those to
    the last chunk; in replay the recorded ones. `usage` is None unless the stream was asked for it.
    """

    texts: list[str]
    refusal: str
    tool_calls: list[dict[str, str]]
    finish_reason: str | None
    usage: Any
    times: list[float]
    seconds: float

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.texts[0]

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the request to the first piece; None if none came."""
        return self.times[0] if self.times else None

    def __repr__(self) -> str:
        # Nothing that differs from run to run: a cell may end on it.
        return f"Reply({len(self.times)} pieces, {len(self.text)} characters, finish_reason={self.finish_reason!r})"


@overload
def stream(chunks: AsyncIterable[Any], *, fps: float | None = None) -> Coroutine[Any, Any, Reply]: ...
@overload
def stream(chunks: Iterable[Any], *, fps: float | None = None) -> Reply: ...
def stream(chunks: Any, *, fps: float | None = None) -> Reply | Coroutine[Any, Any, Reply]:
    """Show a Chat Completions stream as it arrives and return what came; await it if the stream is asynchronous.

    Takes what `create(stream=True)` returns, the events of the SDK's `.stream()`, or any iterable of chunks. In a
    notebook the reply is one Markdown output, made safe to show; in a terminal it is printed.

    Args:
        chunks: the stream.
        fps: frames a second while it runs, 0 for the last one alone; otherwise CHATKIT_FPS, then 10.

    Raises:
        ChatkitError: not a stream, or a bad `fps`.
        openai.OpenAIError, KeyboardInterrupt: what ended the stream; the text until then stays shown.
    """
    _check(chunks)
    arriving = Arriving(chunks)
    rate = _fps(fps)
    # A replay at once is over before anybody could look: one output, however busy the machine.
    shown = screen(arriving, 0 if arriving.is_at_once else rate)
    return _read_async(chunks, arriving, shown) if hasattr(chunks, "__aiter__") else _read(chunks, arriving, shown)


def _read(chunks: Any, arriving: Arriving, screen: Screen) -> Reply:
    with screen.last_frame(), screen.painting(), arriving.noting_the_end(), _closing(chunks):
        for item in chunks:
            screen.arrived(arriving.add(item))
    return arriving.reply()


async def _read_async(chunks: Any, arriving: Arriving, screen: Screen) -> Reply:
    async with screen.painting_async():
        with screen.last_frame(), arriving.noting_the_end():
            async with _closing_async(chunks):
                async for item in chunks:
                    screen.arrived(arriving.add(item))
    return arriving.reply()


class Arriving:
    """What has come of a stream until now, and how it looks."""

    def __init__(self, chunks: Any) -> None:
        self._response = getattr(chunks, "response", None) or getattr(chunks, "_response", None)
        known = getattr(self._response, "extensions", {})
        recording, self.is_at_once = known.get("recording", {}), known.get("at_once", False)
        self._recorded = [event[0] / 1_000 for event in recording.get("events", [])]
        self._begun = time.perf_counter()
        self._texts: dict[int, list[str]] = {0: []}
        self._refusal: list[str] = []
        self._tool_calls: dict[int, dict[str, str]] = {}
        self._finish: dict[int, str] = {}
        self._usage: Any = None
        self._moments: list[float] = []
        self._last = self._begun
        self._note = ""
        self.chunks = 0
        self.size = 0

    def add(self, item: Any) -> str:
        """Take in a chunk, or an event of the SDK's `.stream()`, and return the new text of the first choice."""
        # The SDK's objects are slow to say what they have not got: ask for what they have.
        chunk = item if hasattr(item, "choices") else getattr(item, "chunk", None)
        if chunk is None:
            if isinstance(getattr(item, "type", None), str):
                return ""  # an event of .stream() that repeats what its chunk events bring
            raise ChatkitError(say("stream_item", got=type(item).__name__))
        self._last = self._now()
        self.chunks += 1
        self._usage = chunk.usage or self._usage
        return "".join([self._add(choice) for choice in chunk.choices or []])

    def _now(self) -> float:
        known = self.chunks < len(self._recorded)
        return self._recorded[self.chunks] if known else time.perf_counter()

    def _add(self, choice: Any) -> str:
        if choice.finish_reason:
            self._finish[choice.index] = choice.finish_reason
        delta = choice.delta
        if not delta:
            return ""
        text, size = delta.content or "", self.size
        self._put(self._texts.setdefault(choice.index, []), text)
        self._put(self._refusal, getattr(delta, "refusal", None) or "")
        for call in delta.tool_calls or []:
            self._add_call(call)
        if self.size > size:
            self._moments.append(self._last)
        return text if choice.index == 0 else ""

    def _put(self, pieces: list[str], piece: str) -> None:
        if piece:
            pieces.append(piece)
            self.size += len(piece)

    def _add_call(self, call: Any) -> None:
        whole = self._tool_calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
        new = {"id": call.id, "name": call.function and call.function.name}
        whole.update({name: value for name, value in new.items() if value})
        piece = (call.function and call.function.arguments) or ""
        whole["arguments"] += piece
        self.size += len(piece) + 1

    @contextlib.contextmanager
    def noting_the_end(self) -> Iterator[None]:
        """Say under the text how the stream ended, unless it ended well."""
        try:
            yield
        except BaseException as error:
            self.note_the_end(error)
            raise
        else:
            self.note_the_end()

    def note_the_end(self, error: BaseException | None = None) -> None:
        """Say under the text how the stream ended: by an error, or as its last chunks tell."""
        stopped = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        self._note = say("stream_stopped" if stopped else "stream_broken") if error else self._ending()
        self._begun = self._sent()  # known once the response is closed, and before showing it takes time

    def _ending(self) -> str:
        if not self.chunks:
            return say("stream_empty")
        if not self._finish:
            return say("stream_unfinished")
        return next((say(_NOTES[reason]) for reason in self._finish.values() if reason in _NOTES), "")

    def markdown(self, *, tool_calls: bool = True) -> str:
        """Return what is shown in a notebook: safe Markdown."""
        rest = self._refused(safe) + (self._called(safe) if tool_calls else [])
        return "\n\n".join([*self._choices(safe), *rest, *([f"*{self._note}*"] if self._note else [])])

    def plain(self) -> str:
        rest = self._refused(str) + self._called(str)
        return "\n\n".join([*self._choices(str), *rest, *([self._note] if self._note else [])])

    def after_the_first(self) -> str:
        """Return what a terminal still has to print after the text of the first choice."""
        return self.plain()[len("".join(self._texts[0])) :] if len(self._texts) == 1 else f"\n\n{self.plain()}"

    def _choices(self, shown: Callable[[str], str]) -> list[str]:
        texts = list(map(shown, self._whole_texts()))
        if len(texts) > 1:
            return [say("stream_choice", n=n, text=text) for n, text in enumerate(texts, 1)]
        return [text for text in texts if text]

    def _refused(self, shown: Callable[[str], str]) -> list[str]:
        refusal = "".join(self._refusal)
        return [say("stream_refusal", text=shown(refusal))] if refusal else []

    def _called(self, shown: Callable[[str], str]) -> list[str]:
        calls = [_code(f"{call['name']}({call['arguments']})") for call in self.tool_calls]
        return [say("stream_tool_call", call=shown(call)) for call in calls]

    @property
    def tool_calls(self) -> list[dict[str, str]]:
        """The tool calls as far as they have come: id, name and arguments."""
        return [call for _index, call in sorted(self._tool_calls.items())]

    def _whole_texts(self) -> list[str]:
        return ["".join(pieces) for _index, pieces in sorted(self._texts.items())]

    def reply(self) -> Reply:
        begun = 0.0 if self._recorded else self._begun
        return Reply(
            texts=self._whole_texts(),
            refusal="".join(self._refusal),
            tool_calls=self.tool_calls,
            finish_reason=self._finish.get(0),
            usage=self._usage,
            times=[round(moment - begun, 3) for moment in self._moments],
            seconds=round(self._last - begun, 3) if self.chunks else 0.0,
        )

    def _sent(self) -> float:
        """Return the moment the request was sent, or the one reading began."""
        elapsed = getattr(getattr(self._response, "stream", None), "elapsed", None)
        return min(self._begun, time.perf_counter() - elapsed.total_seconds()) if elapsed else self._begun


def _whole(text: str) -> str:
    """Join the halves of a sign that came in two pieces, and replace a half alone: neither can be written."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _code(text: str) -> str:
    mark = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{mark} {text} {mark}" if len(mark) > 1 else f"`{text}`"


class Shown(Protocol):
    """What a screen paints: `size` grows with it, `after_the_first()` is what a terminal prints at its end."""

    @property
    def size(self) -> int: ...
    def markdown(self) -> str: ...
    def plain(self) -> str: ...
    def after_the_first(self) -> str: ...


class Screen(Protocol):
    def arrived(self, piece: str) -> None: ...
    def last_frame(self) -> contextlib.AbstractContextManager[None]: ...
    def painting(self) -> contextlib.AbstractContextManager[None]: ...
    def painting_async(self) -> contextlib.AbstractAsyncContextManager[None]: ...


def screen(shown: Shown, fps: float | None = None, handle: Any = None) -> Screen:
    """Return what paints `shown` where this runs; in a notebook into the display of `handle`, or one of its own."""
    rate = _fps(fps)
    return _Notebook(shown, rate, handle) if _in_notebook() else _Terminal(shown)


class _Terminal:
    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    def arrived(self, piece: str) -> None:
        print(_whole(piece), end="", flush=True)

    @contextlib.contextmanager
    def last_frame(self) -> Iterator[None]:
        try:
            yield
        finally:
            print(_whole(self._shown.after_the_first()))

    def painting(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def painting_async(self) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()


class _Notebook:
    """One Markdown output, painted again as the text grows.

    The first frame is late: a reply that is whole by then is one plain output, and saved the same each time.
    """

    def __init__(self, shown: Shown, fps: float, handle: Any = None) -> None:
        self._shown, self._fps, self._handle = shown, fps, handle
        self._painted = 0
        self._due = math.inf

    def arrived(self, _piece: str) -> None:
        if time.perf_counter() >= self._due:
            self._paint()
            self._due = time.perf_counter() + self._gap()

    @contextlib.contextmanager
    def last_frame(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._show({"text/markdown": self._shown.markdown(), "text/plain": self._shown.plain()})

    @contextlib.contextmanager
    def painting(self) -> Iterator[None]:
        """Paint from a thread, so that a server that stalls hides nothing that has come."""
        over = threading.Event()

        def paint() -> None:
            while not over.wait(self._gap()):
                self._paint()

        # The copied context carries the cell that the output belongs to.
        thread = threading.Thread(target=contextvars.copy_context().run, args=(paint,), daemon=True)
        try:
            if self._fps:
                thread.start()
        except RuntimeError:  # a browser has no threads: paint when something comes
            self._due = time.perf_counter() + self._gap()
        try:
            yield
        finally:
            over.set()
            if thread.ident:
                thread.join()

    @contextlib.asynccontextmanager
    async def painting_async(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._keep_painting())
        try:
            yield
        finally:
            task.cancel()

    async def _keep_painting(self) -> None:
        while self._fps:
            await asyncio.sleep(self._gap())
            self._paint()

    def _gap(self) -> float:
        size = self._shown.size
        slower = size / _CHARS_PER_SECOND * size / _LONG if size > _LONG else 0.0
        return max(1 / self._fps, slower)

    def _paint(self) -> None:
        if self._shown.size != self._painted:
            self._painted = self._shown.size
            self._show({"text/markdown": self._shown.markdown(), "text/plain": ""}, more=True)

    def _show(self, bundle: dict[str, str], *, more: bool = False) -> None:
        from IPython.display import display

        bundle = {kind: _whole(text) for kind, text in bundle.items()}
        if self._handle:
            self._handle.update(bundle, raw=True)
        else:
            self._handle = display(bundle, raw=True, display_id=True if more else None)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _closing(chunks: Any) -> Iterator[None]:
    try:
        yield
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


@contextlib.asynccontextmanager
async def _closing_async(chunks: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        close = getattr(chunks, "close", None) or getattr(chunks, "aclose", None)
        if close:
            await close()


def _check(chunks: Any) -> None:
    if inspect.isawaitable(chunks):
        raise ChatkitError(say("stream_not_awaited"))
    if hasattr(chunks, "choices"):
        raise ChatkitError(say("stream_not_streamed"))
    if hasattr(chunks, "__iter__") or hasattr(chunks, "__aiter__"):
        return
    if hasattr(chunks, "__enter__") or hasattr(chunks, "__aenter__"):
        raise ChatkitError(say("stream_not_entered"))
    raise ChatkitError(say("stream_nothing", got=type(chunks).__name__))


def _fps(fps: float | None) -> float:
    given: object = (os.environ.get("CHATKIT_FPS") or FPS) if fps is None else fps
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = -1.0
    if not math.isfinite(value) or value < 0:
        raise ChatkitError(say("bad_number", name="fps(CHATKIT_FPS)", got=given))
    return value


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None
