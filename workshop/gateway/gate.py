"""The gate in front of LiteLLM: who may ask, for which model, how long, and what it cost.

LiteLLM checks the seat (`authenticate`, its `custom_auth`) and carries the request to the provider and the reply back
on its pass-through route, byte for byte: its translated route renames parameters, refuses others, rewords errors and
fills the `choices` of the usage chunk (seen with 1.106.2), and the lessons show all of these. The rest is decided here:
the pass-through route loses the `Retry-After` of LiteLLM's own limits and does not know a stream's usage unless the
learner asked for it. What a call costs is read from the reply, in the API's documented format.

LiteLLM reads fields of a body as orders to itself (`custom_body` replaces the whole of it, `api_base` and others end in
an error of its own), and passes `x-pass-` headers on. So it is shown the model and `stream` alone, and the body that
was checked lies beside them, where its own callers put one that must not be touched.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from decimal import Decimal
from typing import Any

from ledger import Ledger, Limits, Spent, TooMany
from room import Price, Room, Seat

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COMPLETIONS = "/v1/chat/completions"
_INNER = "/openai" + COMPLETIONS  # LiteLLM's pass-through route
_RAW_BODY = "litellm_pass_through_raw_body"  # LITELLM_PASS_THROUGH_RAW_BODY_STATE_KEY in 1.106.2
# Bytes of a request, and thus at most as many tokens: beyond 272K of them the prices are others.
_LARGEST = 256_000
_SLOWEST = 60.0  # seconds until a body is there
_LOG = logging.getLogger("uvicorn.error")
_DONT_RETRY = {"x-should-retry": "false"}  # the SDK listens: waiting cannot fill a budget


class Gate:
    """An ASGI application around LiteLLM's that opens two addresses and no other."""

    def __init__(self, app: App, room: Room, ledger: Ledger, *, secrets: list[str]) -> None:
        self._app, self._room, self._ledger = app, room, ledger
        self._secrets = [secret.encode() for secret in secrets if secret]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._route(scope, receive, send)

    async def _route(self, scope: Message, receive: Receive, send: Send) -> None:
        place = (scope["method"], scope["path"])
        if place == ("POST", COMPLETIONS):
            await self._completion(scope, receive, send)
        elif place == ("GET", "/v1/models"):
            models = [{"id": model, "object": "model", "created": 0, "owned_by": "room"} for model in self._room.models]
            await _reply(send, 200, {"object": "list", "data": models})
        elif place == ("GET", "/health"):
            await _reply(send, 200, {"status": "ok"})
        else:
            asked = f"{scope['method']} {scope['path']}"
            said = f"이 게이트웨이에는 {COMPLETIONS} 와 /v1/models 만 있습니다. 요청한 곳: {asked}"
            await _refuse(send, 404, said, code="unknown_url")

    async def _completion(self, scope: Message, receive: Receive, send: Send) -> None:
        seat = self._room.seat(_key(scope))
        if seat is None:  # LiteLLM asks `authenticate`, which refuses it; nobody's body is worth reading
            await self._app(_inner(scope, None, b"{}"), _said(b"{}", receive), send)
            return
        try:
            body = await asyncio.wait_for(_body(receive), _SLOWEST)
        except TimeoutError:
            await _refuse(send, 408, f"요청이 {_SLOWEST:.0f}초 안에 다 오지 않았습니다. 다시 보내세요.")
            return
        request = _parsed(body) if len(body) <= _LARGEST else None
        if request is None:
            said = f"본문은 {_LARGEST:,}바이트 이하의 JSON 객체여야 합니다. 들어온 것: {len(body):,}바이트."
            await _refuse(send, 400, said)
            return
        price = self._room.models.get(str(request.get("model")))
        if price is None:
            await _refuse(send, 404, self._unknown(request), param="model", code="model_not_found")
        elif objection := self._room.objection(request):
            await _refuse(send, 400, objection.said, param=objection.param, code="refused_by_room")
        else:
            await self._metered(scope, seat, price, request, receive, send)

    def _unknown(self, request: dict[str, Any]) -> str:
        known = ", ".join(self._room.models)
        return f"이 방에서 쓸 수 없는 모델입니다: {request.get('model')!r}. 쓸 수 있는 모델: {known}."

    async def _metered(
        self, scope: Message, seat: Seat, price: Price, request: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        limited = self._room.limited(request)
        limits = Limits(seat.budget, self._room.budget, self._room.per_minute)
        try:
            call = self._ledger.admit(seat.name, price.highest(limited, self._room.longest), limits)
        except TooMany as often:
            await _slow_down(send, often)
            return
        except Spent as spent:
            await _stop(send, spent)
            return
        options = request.get("stream_options")
        asked = isinstance(options, dict) and bool(options.get("include_usage"))
        shown = json.dumps({"model": limited["model"], "stream": bool(limited.get("stream"))}).encode()
        inner = _inner(scope, seat, shown)
        inner["state"] = {**scope.get("state", {}), _RAW_BODY: json.dumps(limited).encode()}

        def settle(usage: dict[str, Any] | None) -> None:
            self._ledger.settle(call, price.of(usage) if usage else Decimal(0))

        meter = Meter(self._clean(send), settle, usage_asked=asked)
        try:
            await self._app(inner, _said(shown, receive), meter)
        except Exception:
            _LOG.exception("LiteLLM failed; the call stays at its highest price, for it may have gone out")
            if meter.started:
                raise
            said = "게이트웨이에 문제가 생겨 요청을 보내지 못했거나 답을 받지 못했습니다. 강사에게 알려 주세요."
            await _refuse(send, 502, said, type_="server_error", code="gateway_failed", headers=_DONT_RETRY)

    def _clean(self, send: Send) -> Send:
        """Return `send` with an error about the room's own key told as what it is, and that key in none."""
        held: list[Message] = []

        async def cleaned(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                held.append(message)
            elif held:
                held.append(message)
                if not message.get("more_body"):
                    await self._error(held, send)
            else:
                await send(message)

        return cleaned

    async def _error(self, held: list[Message], send: Send) -> None:
        start, *parts = held
        body = b"".join(part.get("body", b"") for part in parts)
        if start["status"] == 401 or any(secret in body for secret in self._secrets):
            said = "게이트웨이가 쓰는 키를 API가 받지 않았습니다. 여러분의 키 문제가 아닙니다. 강사에게 알려 주세요."
            await _refuse(send, 503, said, type_="server_error", code="gateway_key_refused", headers=_DONT_RETRY)
            return
        await send(start)
        await send({"type": "http.response.body", "body": body})


class Meter:
    """Passes a reply on as it comes, and settles the call before its last byte; a usage nobody asked for stays here."""

    def __init__(self, send: Send, settle: Callable[[dict[str, Any] | None], None], *, usage_asked: bool) -> None:
        self._send, self._settle, self._usage_asked = send, settle, usage_asked
        self._streamed, self._refused, self._pending = False, False, b""
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = self._started(message)
        elif message["type"] == "http.response.body" and not self._refused:
            message = {**message, "body": self._read(message.get("body", b""), last=not message.get("more_body"))}
            if not message["body"] and message.get("more_body"):
                return
        await self._send(message)

    def _started(self, message: Message) -> Message:
        self.started = True
        self._refused = message["status"] >= 400
        self._streamed = _header(message, b"content-type").startswith(b"text/event-stream")
        if 400 <= message["status"] < 500:  # with 5xx it may have been generated, and billed, and then lost
            self._settle(None)
        return {**message, "headers": [pair for pair in message["headers"] if not pair[0].startswith(b"x-litellm")]}

    def _read(self, data: bytes, *, last: bool) -> bytes:
        self._pending += data
        if self._streamed:
            return b"".join(self._events(last))
        if last:
            self._count((_parsed(self._pending) or {}).get("usage"))
        return data

    def _events(self, last: bool) -> Iterator[bytes]:
        """Yield the events that are complete, the rest at the end."""
        *events, self._pending = self._pending.split(b"\n\n")
        for event in events:
            if self._passes(event):
                yield event + b"\n\n"
        if last and self._pending:
            yield self._pending

    def _passes(self, event: bytes) -> bool:
        chunk = _parsed(event.removeprefix(b"data:").strip()) if b'"usage"' in event else None
        return not chunk or not self._count(chunk.get("usage")) or self._usage_asked or bool(chunk.get("choices"))

    def _count(self, usage: Any) -> bool:
        """Settle the call if a usage tells its price, and say so; without one it stays at its highest price."""
        if not isinstance(usage, dict):
            return False
        try:
            self._settle(usage)
        except ValueError:
            return False
        return True


async def authenticate(request: Any, api_key: str) -> Any:  # noqa: ARG001 - LiteLLM passes it by name
    """Tell LiteLLM whose request this is: its `custom_auth`.

    Raises:
        ProxyException: the key belongs to no seat.
    """
    from litellm.proxy._types import ProxyException, UserAPIKeyAuth

    seat = request.scope["workshop_seat"]
    if seat is None:
        said = "자리 키가 맞지 않습니다. 카드에 적힌 OPENAI_API_KEY를 .env에 다시 적고 커널을 다시 시작하세요."
        raise ProxyException(said, "invalid_request_error", None, 401, openai_code="invalid_api_key")
    return UserAPIKeyAuth(api_key=seat.name, user_id=seat.name)


async def _body(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and len(body) <= _LARGEST
    return bytes(body)


def _said(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes: the learner hanging up."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received


def _inner(scope: Message, seat: Seat | None, shown: bytes) -> Message:
    """Return the request as LiteLLM sees it: of the learner's headers it holds the key alone."""
    headers = [pair for pair in scope["headers"] if bytes(pair[0]).lower() in (b"authorization", b"host")]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(shown)).encode())]
    place = {"path": _INNER, "raw_path": _INNER.encode(), "query_string": b""}
    return {**scope, **place, "headers": headers, "workshop_seat": seat}


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _key(scope: Message) -> str:
    return _header(scope, b"authorization").decode("latin-1").removeprefix("Bearer ").strip()


def _header(message: Message, name: bytes) -> bytes:
    return next((bytes(value) for key, value in message.get("headers", []) if bytes(key).lower() == name), b"")


async def _slow_down(send: Send, often: TooMany) -> None:
    said = f"1분에 {often.per_minute}번까지 물을 수 있습니다. {often.retry_after}초 뒤에 다시 보내세요."
    headers = {"retry-after": str(often.retry_after)}
    await _refuse(send, 429, said, type_="requests", code="rate_limit_exceeded", headers=headers)


async def _stop(send: Send, spent: Spent) -> None:
    whose = "이 자리의" if spent.whose == "seat" else "방 전체의"
    said = f"{whose} 예산을 다 썼습니다(예산 USD {spent.budget}, 쓴 금액 USD {spent.spent}). 강사에게 알려 주세요."
    await _refuse(send, 429, said, type_="insufficient_quota", code="insufficient_quota", headers=_DONT_RETRY)


async def _refuse(
    send: Send,
    status: int,
    message: str,
    *,
    type_: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    error = {"message": message, "type": type_, "param": param, "code": code}
    await _reply(send, status, {"error": error}, headers)


async def _reply(send: Send, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
    body = json.dumps(content, ensure_ascii=False).encode()
    given = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
