"""Watch a live response on its way to the caller and turn it into a recorded one."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import httpx2

from chatkit.recordings import OPENAI_BASE, Folder, Json, Record, Request, key_of, make, save, text_of

Chunks = list[tuple[float, bytes]]
Done = Callable[[Chunks], None]
Cell = tuple[str, int]

_HEADERS = {"content-type", "retry-after", "retry-after-ms", "x-request-id", "openai-processing-ms"}
# The API answers these when it is busy or in trouble: true of that minute, not of the request.
_TRANSIENT = {408, 409, 429}


class Watched(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A response body that hands on each chunk at once and calls `done` with all chunks at its end.

    With `to_the_end` a caller that leaves early still gets a whole recording: closing reads the rest.
    A body that breaks off is not reported.
    """

    def __init__(self, body: Any, start: float, done: Done, *, to_the_end: bool) -> None:
        self._body, self._start, self._done, self._to_the_end = body, start, done, to_the_end
        self._source: Any = None
        # An asynchronous body can only be read in its own event loop.
        self.readable_now = hasattr(body, "__iter__")
        self._chunks: Chunks = []
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        self._source = self._source or iter(self._body)
        try:
            for chunk in self._source:
                yield self._noted(chunk)
        except GeneratorExit:
            raise  # the caller has had enough: closing reads the rest
        except BaseException:  # an interrupt or a cancelled task too: what came is not the whole
            self.ended = True
            raise
        self._finish()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._source = self._source or aiter(self._body)
        try:
            async for chunk in self._source:
                yield self._noted(chunk)
        except GeneratorExit:
            raise  # the caller has had enough: closing reads the rest
        except BaseException:  # an interrupt or a cancelled task too: what came is not the whole
            self.ended = True
            raise
        self._finish()

    def close(self) -> None:
        try:
            if self._to_the_end and not self.ended:
                for _chunk in self:
                    pass
            self._finish()
        except httpx2.TransportError:
            pass  # the caller had left already: nobody waits for what did not come
        finally:
            self._body.close()

    async def aclose(self) -> None:
        try:
            if self._to_the_end and not self.ended:
                async for _chunk in self:
                    pass
            self._finish()
        except httpx2.TransportError:
            pass
        finally:
            await self._body.aclose()

    def _noted(self, chunk: bytes) -> bytes:
        self._chunks.append((1_000 * (time.perf_counter() - self._start), chunk))
        return chunk

    def _finish(self) -> None:
        if not self.ended:
            self.ended = True
            self._done(self._chunks)


def is_transient(status: int) -> bool:
    """Say whether a status tells of the service's state, not of the request."""
    return status in _TRANSIENT or status >= 500


def recorded(live: httpx2.Response, chunks: Chunks, head_ms: float) -> Json:
    """Return a finished live response in the recording's form.

    Raises:
        ValueError: the body is neither JSON, nor a stream of events, nor text.
    """
    kept = {n: v for n, v in live.headers.items() if n in _HEADERS or n.startswith("x-ratelimit-")}
    response: Json = {"status": live.status_code, "ms": round(head_ms), "headers": kept}
    if "text/event-stream" in live.headers.get("content-type", ""):
        events = read_events(live.headers, chunks)
        return {**response, "text": text_of(events), "events": events}
    body = httpx2.Response(200, headers=live.headers, content=b"".join(c for _ms, c in chunks))
    try:
        return {**response, "json": json.loads(body.content)}
    except (ValueError, RecursionError):
        return {**response, "body": body.content.decode("utf-8")}


def read_events(headers: httpx2.Headers, chunks: Chunks) -> list[Json]:
    """Return a stream's events as `[ms, data]`, or `[ms, data, name]` for a named one."""
    now = 0.0

    def arriving() -> Iterator[bytes]:
        nonlocal now
        for ms, chunk in chunks:
            now = ms
            yield chunk

    events: list[Json] = []
    body = httpx2.Response(200, headers=headers, content=arriving(), request=httpx2.Request("GET", OPENAI_BASE))
    for event in httpx2.EventSource(body, max_event_size=None):
        name = [] if event.event == "message" else [event.event]
        events.append([round(now), _data(event.data), *name])
    return events


def _data(text: str) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Only objects and lists may leave their text form: a string would come back without its quotes.
    return value if isinstance(value, dict | list) else text


class Recorder:
    """Collects the takes of one session and saves each record as soon as a take is whole.

    A request that an earlier cell has recorded in this session is answered from that recording, because
    a replay would do so too; running the same cell again records anew.
    """

    def __init__(self, folder: Folder, own_secrets: Iterable[str], *, only_missing: bool = False) -> None:
        self._folder, self._own_secrets, self._only_missing = folder, tuple(own_secrets), only_missing
        self._cells: dict[str, Cell] = {}
        self._takes: dict[str, dict[int, Json]] = {}

    def playable(self, key: str, take: int, cell: Cell) -> Record | None:
        """Return the record that answers this request without a live call, if there is one."""
        record = self._folder.records.get(key)
        if record and (record.get("constructed") or (self._only_missing and key not in self._takes)):
            return record
        recorded_elsewhere = take in self._takes.get(key, {}) and self._cells[key] != cell
        return record if recorded_elsewhere and not self._rerun(key, cell) else None

    def begin(self, key: str, cell: Cell) -> None:
        """Open a record for a request about to be sent."""
        if key not in self._takes or self._rerun(key, cell):
            self._cells[key], self._takes[key] = cell, {}

    def keep(self, request: Request, take: int, response: Json, source: dict[str, str]) -> None:
        """Save a response, unless it would put a passing trouble or an error in place of an answer."""
        key = key_of(request)
        old = self._folder.records.get(key)
        if is_transient(response["status"]) or not _is_whole(request, response):
            return
        if response["status"] >= 400 and old and _answered(old):
            return
        kept = self._takes[key]
        kept[take] = {"take": take, **response}
        record = make(request, source, [kept[number] for number in sorted(kept)])
        self._folder.add(save(self._folder.path, record, own_secrets=self._own_secrets), record)

    def _rerun(self, key: str, cell: Cell) -> bool:
        before = self._cells.get(key)
        return before is not None and before[0] == cell[0] and before[1] != cell[1]


def _is_whole(request: Request, response: Json) -> bool:
    """Say whether a chat stream came to its end: no trouble in it, and the closing mark."""
    events = response.get("events")
    if events is None or request.get("path") != "/chat/completions":
        return True
    troubled = any(isinstance(data, dict) and data.get("error") for _ms, data, *_name in events)
    return not troubled and any(data == "[DONE]" for _ms, data, *_name in events)


def _answered(record: Record) -> bool:
    return any(response.get("status", 500) < 400 for response in record["responses"])
