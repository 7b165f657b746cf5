"""Turn a recorded response into one that the SDK receives from its transport, at the recorded pace."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx2
from pydantic_core import to_json

from chatkit.recordings import Json

_FAULTS: dict[str, tuple[type[httpx2.TransportError], str]] = {
    "timeout": (httpx2.ReadTimeout, "The read operation timed out"),
    "refused": (httpx2.ConnectError, "[Errno 111] Connection refused"),
    "reset": (httpx2.ReadError, "[Errno 104] Connection reset by peer"),
}
_CUT = "peer closed connection without sending complete message body (incomplete chunked read)"
_SLOW = _FAULTS["timeout"]


class Pace:
    """The clock of one replayed exchange: recorded milliseconds to a moment to wait for.

    `speed` 1 is the recorded pace, 2 twice as fast, 0 at once. Moments count from the request, so a
    slow reader finds what has arrived in the meantime, as in a socket's buffer.
    """

    def __init__(self, speed: float) -> None:
        self.speed, self.start = speed, time.perf_counter()

    def remaining(self, ms: float) -> float:
        """Return the seconds still to wait until `ms` of the recording have passed."""
        if not self.speed:
            return 0.0
        return max(0.0, self.start + ms / 1_000 / self.speed - time.perf_counter())

    def wait(self, ms: float) -> None:
        if seconds := self.remaining(ms):
            time.sleep(seconds)

    async def wait_async(self, ms: float) -> None:
        if seconds := self.remaining(ms):
            await anyio.sleep(seconds)


class PacedStream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of a replayed stream: one server-sent event at a time, when it is due; at speed 0 in one piece."""

    def __init__(self, response: Json, request: httpx2.Request, pace: Pace) -> None:
        self._response, self._request, self._pace = response, request, pace

    def __iter__(self) -> Iterator[bytes]:
        for ms, item in self._arrivals():
            self._pace.wait(ms)
            yield _delivered(item)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for ms, item in self._arrivals():
            await self._pace.wait_async(ms)
            yield _delivered(item)

    def _arrivals(self) -> Iterator[tuple[float, bytes | Exception]]:
        if self._pace.speed:
            yield from self._steps()
            return
        # At once means in one piece, as from a socket that has been filling up.
        *pieces, last = [item for _ms, item in self._steps()] or [b""]
        broken = isinstance(last, Exception)
        yield 0.0, b"".join(pieces if broken else [*pieces, last])  # type: ignore[list-item, arg-type]
        if broken:
            yield 0.0, last

    def _steps(self) -> Iterator[tuple[float, bytes | Exception]]:
        patience = _read_timeout(self._request)
        before = self._response.get("ms", 0)
        events = self._response["events"]
        cut = self._response.get("cut")
        for ms, data, *name in events[:cut]:
            if ms - before > patience:
                yield before + patience, _fault(_SLOW, self._request)
                return
            before = ms
            yield ms, _event(data, *name)
        if cut is not None:
            yield before, _fault((httpx2.RemoteProtocolError, _CUT), self._request)


def respond(response: Json, request: httpx2.Request, speed: float) -> httpx2.Response:
    """Answer a request with a recorded response, waiting as recorded.

    Raises:
        httpx2.TransportError: the recorded fault, or a read timeout shorter than the recorded wait.
    """
    pace = Pace(speed)
    ms, fault = _head(response, request)
    pace.wait(ms)
    if fault:
        raise fault
    return _answer(response, request, pace)


async def respond_async(response: Json, request: httpx2.Request, speed: float) -> httpx2.Response:
    """As `respond`, without holding up the event loop."""
    pace = Pace(speed)
    ms, fault = _head(response, request)
    await pace.wait_async(ms)
    if fault:
        raise fault
    return _answer(response, request, pace)


def _head(response: Json, request: httpx2.Request) -> tuple[float, Exception | None]:
    if "fault" in response:
        # A recorded timeout is not waited for: it stands for minutes that taught nobody anything.
        return 0.0, _fault(_FAULTS[response["fault"]], request)
    ms, patience = response.get("ms", 0), _read_timeout(request)
    if ms > patience:
        return patience, _fault(_SLOW, request)
    return ms, None


def _answer(response: Json, request: httpx2.Request, pace: Pace) -> httpx2.Response:
    body: Any = PacedStream(response, request, pace) if "events" in response else httpx2.ByteStream(_content(response))
    # The recorded times are the ones to draw: at another speed the clock's are not the reply's.
    known = {"recording": response, "at_once": not pace.speed}
    return httpx2.Response(response["status"], headers=response.get("headers", {}), stream=body, extensions=known)


def _content(response: Json) -> bytes:
    if "json" in response:
        return _json(response["json"])
    return str(response.get("body", "")).encode("utf-8", "surrogatepass")


def _json(value: Json) -> bytes:
    try:
        return to_json(value, inf_nan_mode="constants")
    except ValueError:  # a lone surrogate, a number beyond 64 bits
        return json.dumps(value).encode()


def _event(data: Json, name: str = "") -> bytes:
    if not name and not isinstance(data, str):
        return b"data: " + _json(data) + b"\n\n"
    text = data if isinstance(data, str) else json.dumps(data)
    lines = [f"event: {name}"] if name else []
    lines += [f"data: {line}" for line in text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "surrogatepass")


def _delivered(item: bytes | Exception) -> bytes:
    if isinstance(item, Exception):
        raise item
    return item


def _fault(fault: tuple[type[httpx2.TransportError], str], request: httpx2.Request) -> httpx2.TransportError:
    kind, message = fault
    return kind(message, request=request)


def _read_timeout(request: httpx2.Request) -> float:
    seconds = (request.extensions.get("timeout") or {}).get("read")
    return float("inf") if seconds is None else seconds * 1_000
