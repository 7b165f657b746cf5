"""A chat window around a chatbot of one's own: it shows what the bot streams, and speaks to no API itself.

The controls are widgets. The talk is ordinary Markdown output, saved with the notebook and readable without a kernel.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chatkit.advice import advise
from chatkit.display import Arriving, Reply, screen
from chatkit.errors import ChatkitError
from chatkit.markdown import safe
from chatkit.messages import say

# Seconds from Enter or a click to reading the box: the text comes in a message of its own, maybe to another thread.
_SETTLING = 0.1
_LONGEST_SHOWN = 2_000
_EMPTY = {"text/markdown": "", "text/plain": ""}
# The end is in view, as in a chat, and the controls stay where they are; who drops the style shows the whole.
_BOX = "display:flex;flex-direction:column-reverse;overflow-y:auto;border:1px solid #8c959f;padding:0 1em;max-height:"
_HEIGHT, _HEIGHT_WHILE_RECEIVING, _HEIGHT_OF_NOW = 28, 12, 16  # em
_RULE = "\n\n---\n\n"
_PICTURES = ("_repr_mimebundle_", "_repr_svg_", "_repr_png_", "_repr_html_", "_repr_markdown_")


class ChatWindow:
    """A chat window around `ask`; a cell that ends on it shows it.

    `ask(text)` is an async generator, or returns a stream when awaited. What it yields is shown: the chunks of one
    request after the other, the `{"role": "tool", …}` message that answers a tool call, and anything that a notebook
    shows as a picture or a table. `error` holds what ended the last turn, to be raised for its traceback.

    A turn that fails or is stopped ends `ask` where it waits, by an exception. An `ask` that adds to its history in
    its last line therefore keeps no question without an answer.

    Args:
        ask: takes the question.
        suggestions: questions that the box offers.
    """

    def __init__(self, ask: Callable[[str], Any], *, suggestions: Sequence[str] = ()) -> None:
        self.error: BaseException | None = None
        self._ask = ask
        self._turns: list[_Turn] = []
        self._costs = _Costs()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._build(suggestions)

    def _build(self, suggestions: Sequence[str]) -> None:
        import ipywidgets  # type: ignore[import-untyped]

        # A browser tells such a box's text as a whole, at Enter: never a syllable that is still being composed.
        self._box = ipywidgets.Combobox(
            options=tuple(suggestions),
            continuous_update=False,
            description=say("chat_question"),
            placeholder=say("chat_placeholder"),
            layout={"width": "auto", "flex": "1 1 auto"},
        )
        self._send = ipywidgets.Button(description=say("chat_send"), tooltip=say("chat_send_tip"))
        self._stop = ipywidgets.Button(description=say("chat_stop"), tooltip=say("chat_stop_tip"), disabled=True)
        self._state, self._cost = ipywidgets.Label(say("chat_ready")), ipywidgets.Label()
        self._box.on_msg(self._entered)
        self._send.on_click(lambda _button: self._clicked(self._read_the_box_soon))
        self._stop.on_click(lambda _button: self._clicked(self.stop))
        line = ipywidgets.HBox([self._box, self._send, self._stop])
        self._panel = ipywidgets.VBox([line, self._state, self._cost])

    def __repr__(self) -> str:
        return say("chat_saved")

    def _ipython_display_(self) -> None:
        self._loop, self._context = asyncio.get_running_loop(), contextvars.copy_context()
        self._talk = _display(self._talked(), again=True)
        self._now = _display(_EMPTY, again=True)
        saved = {"text/plain": repr(self), "text/html": f"<em>{self!r}</em>"}
        _display({**self._panel._repr_mimebundle_(), **saved})

    async def send(self, text: str) -> Reply:
        """Ask without a browser: show the turn where this is awaited and return its last reply, whole or stopped.

        Raises:
            ChatkitError: another turn is under way.
            Exception: what ended the turn.
        """
        from IPython import get_ipython

        if self._task:
            raise ChatkitError(say("chat_busy"))
        turn = _Turn(text)
        await self._begin(turn)
        for picture in turn.pictures if get_ipython() else []:
            _display(picture)
        return turn.reply()

    def stop(self) -> None:
        """Stop the turn under way: its response is closed, and what came stays shown."""
        if self._task:
            self._stopping = True
            self._task.cancel()

    # what the browser tells, maybe in a thread of its own

    def _entered(self, _box: Any, content: Any, _buffers: Any) -> None:
        if content.get("event") == "submit":
            self._loop.call_soon_threadsafe(self._read_the_box_soon)

    def _clicked(self, step: Callable[[], None]) -> None:
        self._box.focus()
        self._loop.call_soon_threadsafe(step)

    # in the kernel's own loop

    def _read_the_box_soon(self) -> None:
        self._loop.call_later(_SETTLING, self._read_the_box)

    def _read_the_box(self) -> None:
        text = self._box.value.strip()
        if self._task:
            self._state.value = say("chat_busy")
        elif text:
            self._box.value = ""
            self._talk.update(self._talked(_HEIGHT_WHILE_RECEIVING) if self._turns else _EMPTY, raw=True)
            turn = _Turn(text, inline=True)
            # In the context of the window's cell: what a tool prints lands there, not in the log console.
            task = self._context.run(self._begin, turn, self._now)
            task.add_done_callback(lambda _task: self._keep(turn))

    def _begin(self, turn: _Turn, handle: Any = None) -> asyncio.Task[None]:
        self._stopping = False
        self._send.disabled, self._stop.disabled = True, False
        self._state.value = say("chat_receiving")
        self._task = asyncio.create_task(self._show(turn, handle))
        self._task.add_done_callback(lambda task: self._ended(turn, task))
        return self._task

    async def _show(self, turn: _Turn, handle: Any) -> None:
        shown = screen(turn, handle=handle)
        try:
            async with shown.painting_async():
                with shown.last_frame(), turn.noting_the_end():
                    await self._read(turn)
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    async def _read(self, turn: _Turn) -> None:
        stream = self._ask(turn.question)
        if inspect.isawaitable(stream):
            stream = await stream
        if not hasattr(stream, "__aiter__"):
            raise ChatkitError(say("chat_no_stream", got=type(stream).__name__))
        async with contextlib.aclosing(stream) if hasattr(stream, "aclose") else contextlib.nullcontext():
            async for item in stream:
                turn.add(item)
                if self._stopping:
                    break
        if self._stopping:  # a bot may have caught it
            raise asyncio.CancelledError

    def _ended(self, turn: _Turn, task: asyncio.Task[None]) -> None:
        failed = None if task.cancelled() else task.exception()
        turn.error = turn.error or failed
        self._task, self.error = None, failed
        self._send.disabled, self._stop.disabled = False, True
        self._state.value = _outcome(turn.error)
        self._costs.add(turn)
        self._cost.value = str(self._costs)

    def _keep(self, turn: _Turn) -> None:
        """Move a turn from the second output to the talk; give back a question that has no answer."""
        self._turns.append(turn)
        self._talk.update(self._talked(), raw=True)
        self._now.update(_EMPTY, raw=True)
        if turn.error and not self._box.value:
            self._box.value = turn.question

    def _talked(self, height: int = _HEIGHT) -> dict[str, str]:
        """Return the finished turns as a display bundle."""
        if not self._turns:
            return {"text/markdown": f"*{say('chat_empty')}*", "text/plain": say("chat_empty")}
        told = _RULE.join([turn.told() for turn in self._turns])
        plain = _RULE.join([turn.plain() for turn in self._turns])
        return {"text/markdown": _scrolled(told, height), "text/plain": plain}


@dataclass
class _Request:
    """One request of a turn: its reply, the results of the tools that the reply called, and its last usage chunk."""

    arriving: Arriving = field(default_factory=lambda: Arriving(None))
    results: dict[str, str] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    usage: Any = None

    def markdown(self) -> str:
        calls = self.arriving.tool_calls
        folds = [_fold(call["name"], call["arguments"], self.results.get(call["id"])) for call in calls]
        return "\n\n".join([text for text in (self.arriving.markdown(tool_calls=False), *folds) if text])

    def plain(self) -> str:
        return "\n\n".join([self.arriving.plain(), *self.results.values()])


class _Turn:
    """A question and all that came of it; `inline` puts the pictures into the Markdown."""

    def __init__(self, question: str, *, inline: bool = False) -> None:
        self.question, self._inline = question, inline
        self.requests: list[_Request] = []
        self.pictures: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self._next = _Request()

    def add(self, item: Any) -> None:
        """Take in what `ask` yielded."""
        if isinstance(item, Mapping) and item.get("role") == "tool" and self.requests:
            self.requests[-1].results[item.get("tool_call_id", "")] = str(item.get("content"))
        elif any(hasattr(item, name) for name in _PICTURES):
            self.pictures.append(_bundle(item))
        else:
            self._add_chunk(item)
        if self.requests and self.requests[-1].finished:
            self._next = _Request()  # its clock begins now

    def _add_chunk(self, item: Any) -> None:
        chunk = getattr(item, "chunk", item)
        choices = getattr(chunk, "choices", None) or []
        # A reply that had ended and begins again is the next request's; not every server gives it another id.
        goes_on = self.requests and not any(choice.index in self.requests[-1].finished for choice in choices)
        request = self.requests[-1] if goes_on else self._next
        request.arriving.add(item)
        request.finished |= {choice.index for choice in choices if choice.finish_reason}
        request.usage = chunk if getattr(chunk, "usage", None) else request.usage
        self.requests += [] if goes_on else [request]

    @contextlib.contextmanager
    def noting_the_end(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = error
            if self.requests and not self.requests[-1].finished and isinstance(error, Exception):
                self.requests[-1].arriving.note_the_end(error)
            raise
        for request in self.requests:
            request.arriving.note_the_end()

    def reply(self) -> Reply:
        return (self.requests or [self._next])[-1].arriving.reply()

    @property
    def size(self) -> int:
        return len(self.pictures) + sum(each.arriving.size + len(each.results) for each in self.requests)

    def markdown(self) -> str:
        return _scrolled(self.told(), _HEIGHT_OF_NOW) if self._inline else self.told()

    def told(self) -> str:
        """Return the turn as Markdown; what the model, the tools and the errors say is made safe to show."""
        asked = [f"**{say('chat_you')}**", safe(self.question), f"**{say('chat_bot')}**"]
        pictures = map(_picture, self.pictures if self._inline else [])
        error = [_quoted(_advice(self.error))] if self.error else []
        return "\n\n".join([*asked, *[each.markdown() for each in self.requests], *pictures, *error])

    def plain(self) -> str:
        error = [_advice(self.error)] if self.error else []
        return "\n\n".join([self.question, *[each.plain() for each in self.requests], *error])

    def after_the_first(self) -> str:
        return "\n\n".join([self.plain(), *[str(picture.get("text/plain")) for picture in self.pictures]])


class _Costs:
    """What a conversation cost by list price, as far as its replies told their usage."""

    def __init__(self) -> None:
        self._requests = self._unknown = self._sent = self._received = 0
        self._usd = Decimal(0)

    def add(self, turn: _Turn) -> None:
        for request in turn.requests:
            self._requests += 1
            try:
                self._add(request.usage)
            except ChatkitError:  # no usage, or a model without a known price
                self._unknown += 1

    def _add(self, chunk: Any) -> None:
        from chatkit import tokens

        if chunk:
            self._sent += chunk.usage.prompt_tokens or 0
            self._received += chunk.usage.completion_tokens or 0
        self._usd += tokens.cost(chunk)

    def __str__(self) -> str:
        numbers = {"requests": self._requests, "sent": f"{self._sent:,}", "received": f"{self._received:,}"}
        unknown = say("chat_cost_unknown", n=self._unknown) if self._unknown else ""
        return say("chat_cost", usd=f"{self._usd:.6f}", **numbers) + unknown


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return say("chat_ready")
    return _advice(error) if _was_stopped(error) else say("chat_failed", name=type(error).__name__)


def _advice(error: BaseException) -> str:
    """Return what went wrong and what to do, in the learner's language."""
    if _was_stopped(error):
        return say("chat_stopped")
    return advise(error) or say("chat_other", name=type(error).__name__, message=error)


def _was_stopped(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError | KeyboardInterrupt)


def _display(bundle: dict[str, Any], *, again: bool = False) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, display_id=again or None)  # type: ignore[no-untyped-call]


def _scrolled(text: str, height: int) -> str:
    return f'<div style="{_BOX}{height}em"><div>\n\n{text}\n\n</div></div>'


def _fold(name: str, arguments: str, result: str | None) -> str:
    """Return a tool call as HTML that opens at a click, in one line: an empty one would end it for Markdown."""
    parts = {say("chat_arguments"): arguments, say("chat_result"): say("chat_waiting") if result is None else result}
    inside = "".join(f"{title}<pre><code>{_escaped(_readable(text))}</code></pre>" for title, text in parts.items())
    return f"<details><summary>{say('chat_tool')} <code>{_escaped(name)}</code></summary>{inside}</details>"


def _readable(text: str) -> str:
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    more = len(text) - _LONGEST_SHOWN
    return text if more <= 0 else text[:_LONGEST_SHOWN] + say("chat_more", n=f"{more:,}")


def _escaped(text: str) -> str:
    return re.sub(r"[^\w .,:%()/+-]|_", lambda sign: f"&#{ord(sign[0])};", text)


def _quoted(text: str) -> str:
    # Outside code a dollar sign begins mathematics, however it is written.
    return "> " + "<br>".join([_escaped(line.replace("$", "＄")) for line in text.splitlines()])


def _bundle(item: Any) -> dict[str, Any]:
    from IPython import get_ipython
    from IPython.core.formatters import DisplayFormatter

    shell = get_ipython()
    shown: dict[str, Any] = (shell.display_formatter if shell else DisplayFormatter()).format(item)[0]
    return shown


def _picture(bundle: dict[str, Any]) -> str:
    """Return as Markdown what a notebook would show of a display bundle."""
    said = _escaped(str(bundle.get("text/plain", "")))
    for kind in ("image/svg+xml", "image/png"):
        if data := bundle.get(kind):
            raw = data.encode() if kind == "image/svg+xml" else data
            coded = base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw.replace("\n", "")
            return f'<img alt="{said}" src="data:{kind};base64,{coded}">'
    return str(bundle.get("text/markdown") or bundle.get("text/html") or f"<pre>{said}</pre>")
