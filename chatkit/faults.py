"""Scripted trouble in front of the recordings or the live API: `with faults.then_fine("429", "503") as trouble:`.

All of it is constructed, after errors that the API documents or was seen to send, and none of it is sent, recorded or
paid for. The real SDK meets it as a response on the wire, raises its own errors and retries by its own rules.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from chatkit import replay, session
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.recordings import Json

if TYPE_CHECKING:
    from chatkit.figures import Figure, Table

# What the SDK does by itself (openai 3.54: _constants.py, _base_client.py): seconds, and statuses besides 5xx.
FIRST_WAIT, LONGEST_WAIT, LONGEST_RETRY_AFTER = 0.5, 8.0, 120
_RETRIED = (408, 409, 429)


class _Error(NamedTuple):
    """The error object of a response's body."""

    message: str
    type: str | None = "invalid_request_error"
    param: str | None = None
    code: str | None = None


_NO_CREDIT = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_RATE = (
    "Rate limit reached for {model} in organization org-... on tokens per min (TPM): Limit 30000, Used 27094, "
    "Requested {requested}. Please try again in {wait:g}s. "
    "Visit https://platform.openai.com/account/rate-limits to learn more."
)
_LONG = (
    "Input tokens exceed the configured limit of 922000 tokens. Your messages resulted in 1055751 tokens. "
    "Please reduce the length of the messages."
)
_KEY = (
    "Incorrect API key provided: sk-...xyz. You can find your API key at https://platform.openai.com/account/api-keys."
)
_REGION = "Country, region, or territory not supported"
_RETIRED = "The model `{model}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations"
_TYPO = "The model `{model}` does not exist or you do not have access to it."
_SORRY = "The server had an error while processing your request. Sorry about that!"
_BUSY = "The server is currently overloaded. Please try again later."
# A name begins with its status. Not confirmed word for word: the message of 429-credit, a code younger than its text
# (429-quota is the pair that was seen), and that of 503.
_STATUSES = {
    "400-context": _Error(_LONG, param="messages", code="context_length_exceeded"),
    "401": _Error(_KEY, code="invalid_api_key"),
    "403-region": _Error(_REGION, "request_forbidden", code="unsupported_country_region_territory"),
    "403-model": _Error("Project `proj_...` does not have access to model `{model}`", code="model_not_found"),
    "404-retired": _Error(_RETIRED, code="model_not_found"),
    "404-typo": _Error(_TYPO, code="model_not_found"),
    "429": _Error(_RATE, "tokens", code="rate_limit_exceeded"),
    "429-credit": _Error(_NO_CREDIT, "insufficient_quota", code="credit_balance_exhausted"),
    "429-quota": _Error(_NO_CREDIT, "insufficient_quota", code="insufficient_quota"),
    "500": _Error(_SORRY, "server_error"),
    "503": _Error(_BUSY, "service_unavailable_error", code="server_is_overloaded"),
}
# Any other status says no more than its name.
_PLAIN = {str(status.value): _Error(status.phrase, None) for status in HTTPStatus if status >= 400}
_UNANSWERED = ("timeout", "refused", "reset")
_SPOILT = ("cut", "error-event", "no-done")
_STRANGE = {
    "garbage": ("application/json", 'data: {"id": "chatcmpl-\n\n'),
    "html": (
        "text/html; charset=utf-8",
        "<!doctype html><title>Wi-Fi</title><p>Please log in to use this network.</p>",
    ),
}
_RATE_WAIT = 2
_LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-tokens": "2906",
    "x-ratelimit-reset-tokens": "54.188s",
}
NAMES = (*_STATUSES, *_UNANSWERED, *_SPOILT, *_STRANGE)


@dataclass
class Fault:
    """One trouble by name; `retry_after`, in seconds, is what an HTTP status asks to wait ("429": 2)."""

    name: str
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES and self.name not in _PLAIN:
            raise ChatkitError(say("faults_unknown", got=self.name, known=", ".join(NAMES)))
        if self.retry_after is None:
            self.retry_after = _RATE_WAIT if self.name == "429" else None
        elif not _is_wait(self.retry_after):
            raise ChatkitError(say("bad_number", name="retry_after", got=self.retry_after))


@dataclass
class Attempt:
    """One attempt of one request, both counted from 1, and what became of it: a fault's name or a status.

    `seconds` (until the outcome) and `wait` (until the next attempt; None: there was none) are nominal and the same
    in every run; `measured_wait` is what the clock said.
    """

    request: int
    number: int
    outcome: str = ""
    seconds: float = 0.0
    wait: float | None = None
    measured_wait: float | None = field(default=None, repr=False, compare=False)


def then_fine(*script: Fault | str | int) -> contextlib.AbstractContextManager[Trouble]:
    """Let the next attempts meet these faults, one each and in this order; after them everything is normal.

    `cut`, `error-event` and `no-done` spoil the answer to a streaming request half-way; the other faults need no
    recording. The script stands in front of the session until the `with` or the session ends; of several, a request
    meets the innermost of its own task or thread, else the latest.

    Raises:
        ChatkitError: an unknown name or an empty script; later, no session, or a stream fault on another request.
    """
    return _in_front(_faults(script), forever=False)


def always(*script: Fault | str | int) -> contextlib.AbstractContextManager[Trouble]:
    """As `then_fine`, but begin again after the last fault."""
    return _in_front(_faults(script), forever=True)


def status(code: str | int, *, retry_after: float | None = None) -> Fault:
    """Return the fault of an HTTP status: a name such as "429-credit", or a number from 400 for a body without details.

    Raises:
        ChatkitError: an unknown status, or a wait that is negative or no number.
    """
    if str(code) not in _STATUSES and str(code) not in _PLAIN:
        raise ChatkitError(say("faults_unknown", got=code, known=", ".join(_STATUSES)))
    return Fault(str(code), retry_after)


def _is_wait(given: Any) -> bool:
    if not isinstance(given, int | float) or isinstance(given, bool):
        return False
    return 0 <= given < 10**9


def _faults(script: Sequence[Fault | str | int]) -> list[Fault]:
    if not script:
        raise ChatkitError(say("faults_empty", known=", ".join(NAMES)))
    return [given if isinstance(given, Fault) else Fault(str(given)) for given in script]


# The troubles that this task or thread has opened, the innermost first, and its request on the way.
_opened: ContextVar[tuple[Trouble, ...]] = ContextVar("chatkit_opened", default=())
_sending: ContextVar[_Sending] = ContextVar("chatkit_sending")


@contextlib.contextmanager
def _in_front(faults: list[Fault], *, forever: bool) -> Iterator[Trouble]:
    running = session.running()
    trouble = Trouble(running, faults, forever=forever)
    running.put_in_front(trouble)
    _opened.set((trouble, *_opened.get()))
    try:
        yield trouble
    finally:
        running.take_away(trouble)
        _opened.set(tuple(other for other in _opened.get() if other is not trouble))


class Trouble:
    """What requests met of a script: `attempts`, drawn in a notebook as the timeline of the retries."""

    def __init__(self, running: session.Session, faults: list[Fault], *, forever: bool) -> None:
        self.attempts: list[Attempt] = []
        self._session, self._faults, self._forever = running, faults, forever
        self._next = itertools.cycle(faults) if forever else iter(faults)
        self._requests = 0
        self._lock = threading.Lock()

    def handle(self, request: httpx2.Request, send: Callable[..., httpx2.Response]) -> httpx2.Response:
        """Answer a request with the next fault, or by `send` where there is none or it spoils a real answer."""
        with self._innermost().meeting(request, request.read()) as met:
            if met.reply is None:
                return met.told(send(met.answered, met.spoil))
            return met.told(replay.respond(met.reply, request, self._session.speed))

    async def handle_async(
        self, request: httpx2.Request, send: Callable[..., Awaitable[httpx2.Response]]
    ) -> httpx2.Response:
        """As `handle`, without holding up the event loop."""
        with self._innermost().meeting(request, await request.aread()) as met:
            if met.reply is None:
                return met.told(await send(met.answered, met.spoil))
            return met.told(await replay.respond_async(met.reply, request, self._session.speed))

    def _innermost(self) -> Trouble:
        return next((trouble for trouble in _opened.get() if trouble in self._session.scripts), self)

    @contextlib.contextmanager
    def meeting(self, request: httpx2.Request, content: bytes) -> Iterator[_Sending]:
        """Log an attempt and decide what it meets."""
        retries, sending = session.retry_count(request), _sending.get(None)
        with self._lock:
            if retries and sending and sending.trouble is self:
                sending.retried()
            else:
                self._requests += 1
                sending = _Sending(self, Attempt(self._requests, retries + 1))
                _sending.set(sending)
            self.attempts.append(sending.attempt)
            fault = next(self._next, None)
        try:
            sending.meet(fault, request, _body(content), self._session.speed)
            yield sending
        except BaseException as error:
            sending.attempt.outcome = type(error).__name__
            raise
        finally:
            sending.attempt.outcome = fault.name if fault else sending.attempt.outcome
            sending.ended = time.perf_counter()

    def table(self) -> Table:
        """Return the timeline as a table.

        Raises:
            ChatkitError: no request has been sent.
        """
        return self._figure().table()

    def _figure(self) -> Figure:
        from chatkit import figures

        if not self.attempts:
            raise ChatkitError(say("faults_unused", title=self._title()))
        # Side by side requests come in any order, their attempts do not.
        log = sorted(self.attempts, key=lambda attempt: (attempt.request, attempt.number))[: figures.MOST_ROWS]
        steps = [(attempt.number, attempt.seconds, attempt.outcome, attempt.wait) for attempt in log]
        cut_off = len(self.attempts) > len(log)
        title = say("faults_first", title=self._title(), n=len(log)) if cut_off else self._title()
        return figures.attempts(steps, title=title)

    def _title(self) -> str:
        script = " → ".join(fault.name for fault in self._faults)
        return say("faults_always" if self._forever else "faults_then_fine", script=script)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return self._figure()._repr_mimebundle_() if self.attempts else {"text/plain": repr(self)}

    def __repr__(self) -> str:
        if not self.attempts:
            return say("faults_unused", title=self._title())
        return f"{self._title()}\n{self.table()!r}"


@dataclass
class _Sending:
    """A request on its way: its latest attempt, what this meets, and how many attempts a fault has answered."""

    trouble: Trouble
    attempt: Attempt
    answered: int = 0
    reply: Json | None = None
    spoil: Callable[[Json], Json] | None = None
    retry_after: str | None = None
    ended: float = 0.0

    def retried(self) -> None:
        """Go on to the next attempt; that it came shows that the SDK has waited."""
        before = self.attempt
        before.wait = _nominal_wait(before.number - 1, self.retry_after)
        before.measured_wait = time.perf_counter() - self.ended
        self.attempt = Attempt(before.request, before.number + 1)
        self.reply = self.spoil = self.retry_after = None

    def meet(self, fault: Fault | None, request: httpx2.Request, asked: dict[str, Any], speed: float) -> None:
        if fault is None:
            return
        if fault.name in _SPOILT:
            if not asked.get("stream"):
                raise ChatkitError(say("faults_no_stream", name=fault.name))
            self.spoil = partial(_spoilt, fault.name)
            return
        self.answered += 1
        if fault.name == "timeout":
            self.attempt.seconds = (request.extensions.get("timeout") or {}).get("read") or 0.0
        self.reply = _reply(fault, self.attempt, str(asked.get("model")), speed)

    def told(self, response: httpx2.Response) -> httpx2.Response:
        """Note a response."""
        recording = response.extensions.get("recording", {})
        moments = [recording.get("ms", 0), *(ms for ms, *_ in recording.get("events", []))]
        self.attempt.outcome, self.attempt.seconds = str(response.status_code), moments[-1] / 1_000
        self.retry_after = response.headers.get("retry-after")
        return response


def _body(content: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        asked = None
    return asked if isinstance(asked, dict) else {}


def _reply(fault: Fault, attempt: Attempt, model: str, speed: float) -> Json:
    if fault.name in _UNANSWERED:
        return {"fault": fault.name}
    head = {"content-type": "application/json", "x-request-id": f"req_example_{attempt.request}_{attempt.number}"}
    if fault.name in _STRANGE:
        kind, body = _STRANGE[fault.name]
        return {"status": 200, "headers": {**head, "content-type": kind}, "body": body}
    code, wait, error = int(fault.name[:3]), fault.retry_after or 0, _STATUSES.get(fault.name) or _PLAIN[fault.name]
    # One token is free again every 2 ms: the message adds up.
    message = error.message.format(model=model, wait=wait, requested=2_906 + round(500 * wait))
    head |= _LIMITS if fault.name == "429" else {}
    head |= {} if fault.retry_after is None else {"retry-after": f"{wait:g}"}
    if speed != 1 and (code in _RETRIED or code >= 500) and wait <= LONGEST_RETRY_AFTER:
        head["retry-after-ms"] = _scaled(_nominal_wait(attempt.number - 1, head.get("retry-after")), speed)
    return {"status": code, "headers": head, "json": {"error": error._replace(message=message)._asdict()}}


def _scaled(seconds: float, speed: float) -> str:
    ms = 1_000 * min(seconds / speed, LONGEST_RETRY_AFTER) if speed else 0
    return f"{max(ms, 1):g}"


def _nominal_wait(retries: int, retry_after: str | None) -> float:
    """Return the seconds that the SDK waits before its next retry, without the random quarter it takes off."""
    with contextlib.suppress(TypeError, ValueError):
        if 0 < float(retry_after) <= LONGEST_RETRY_AFTER:  # type: ignore[arg-type]
            return float(retry_after)  # type: ignore[arg-type]
    return min(FIRST_WAIT * 2.0 ** min(retries, 10), LONGEST_WAIT)


def _spoilt(name: str, reply: Json) -> Json:
    """Return a recorded stream that goes wrong half-way; anything but a stream as it is."""
    events = reply.get("events")
    if not events:
        return reply
    half = events[: max(1, len(events) // 2)]
    end = [[half[-1][0], {"error": _STATUSES["500"]._asdict()}]] if name == "error-event" else []
    return {**reply, "events": [*half, *end], "cut": len(half) if name == "cut" else None}
