"""A small server on loopback that speaks the Chat Completions API, for tests that need a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 10  # seconds a held-back stream waits, so that a broken test ends


@dataclass(frozen=True)
class Received:
    """One request that came in; `body` is the parsed JSON, or the bytes where they are none."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What the server answers.

    Plain text becomes a whole completion, or a stream of one chunk a word. A streamed reply waits for `gate`
    before event `gate_before`, and the connection breaks after `drop_after` events.
    """

    text: str = "안녕하세요, 반갑습니다."
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    message: str | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    events: list[Any] | None = None
    gate: threading.Event | None = None
    gate_before: int = 1
    drop_after: int | None = None


Answer = str | Reply | Callable[[Any], str | Reply]


class OpenAIServer:
    """`with OpenAIServer() as server:` listens at `server.base_url` and keeps what it got in `server.requests`.

    With `cors`, pages of other origins may ask it too.
    """

    def __init__(self, answer: Answer = "안녕하세요, 반갑습니다.", *, cors: bool = False) -> None:
        self.answer = answer
        self.extra_headers = {"access-control-allow-origin": "*"} if cors else {}
        self.requests: list[Received] = []
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply_to(self, received: Received) -> Reply:
        """Return the answer to a request, after the checks that the API makes first."""
        key = received.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or key.startswith("sk-wrong"):
            return _refusal(401, f"Incorrect API key provided: {key[:8]}***.", code="invalid_api_key")
        if received.path.partition("?")[0] != "/v1/chat/completions":
            return self._answered(received)
        if isinstance(received.body, dict) and received.body.get("model") == "gpt-none":
            return _refusal(400, "The model `gpt-none` does not exist or you do not have access to it.", param="model")
        return self._answered(received)

    def _answered(self, received: Received) -> Reply:
        given = self.answer(received.body) if callable(self.answer) else self.answer
        return Reply(given) if isinstance(given, str) else given


def completion(text: str, model: str) -> dict[str, Any]:
    """Return a whole chat completion as the API sends it."""
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_common(model), "object": "chat.completion", "choices": [choice], "usage": _usage()}


def chunks(text: str, body: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    """Yield the events of a streamed completion, a word a chunk, down to `[DONE]`."""
    common = {**_common(body["model"]), "object": "chat.completion.chunk"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in text.split()]
    for delta in deltas:
        yield {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**common, "choices": [], "usage": _usage()}
    yield "[DONE]"


def error_body(message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return an error in the API's shape."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def _refusal(status: int, message: str, **fields: str | None) -> Reply:
    return Reply(status=status, body=json.dumps(error_body(message, **fields)).encode())


def _common(model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-loopback", "created": 1_795_305_600, "model": model, "service_tier": "default"}


def _usage() -> dict[str, Any]:
    return {"prompt_tokens": 18, "completion_tokens": 53, "total_tokens": 71}


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # a caller that hangs up is part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: OpenAIServer

    def do_POST(self) -> None:
        received = self._received()
        self.owner.requests.append(received)
        reply = self.owner.reply_to(received)
        streamed = isinstance(received.body, dict) and received.body.get("stream")
        if reply.status == 200 and reply.body is None and (streamed or reply.events):
            self._stream(reply, received.body)
        else:
            self._whole(reply, received.body)

    do_GET = do_POST  # noqa: N815

    def do_OPTIONS(self) -> None:
        """Let a page send whatever headers it asks for."""
        allowed = {"access-control-allow-headers": self.headers["access-control-request-headers"]}
        self._head(Reply(headers=allowed), "text/plain", ("content-length", "0"))

    def log_message(self, *_: object) -> None:
        pass

    def _received(self) -> Received:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Received(self.command, self.path, headers, body)

    def _whole(self, reply: Reply, body: Any) -> None:
        content = reply.body
        if content is None and reply.status >= 400:
            content = json.dumps(error_body(reply.message or f"status {reply.status}")).encode()
        if content is None:
            model = body["model"] if isinstance(body, dict) else "gpt-6-luna"
            content = json.dumps(completion(reply.text, model)).encode()
        self._head(reply, reply.content_type, ("content-length", str(len(content))))
        self.wfile.write(content)

    def _stream(self, reply: Reply, body: Any) -> None:
        self._head(reply, "text/event-stream; charset=utf-8", ("transfer-encoding", "chunked"))
        for number, event in enumerate(chunks(reply.text, body) if reply.events is None else reply.events):
            if number == reply.drop_after:
                self.close_connection = True
                return
            if reply.gate and number == reply.gate_before:
                reply.gate.wait(PATIENCE)
            text = event if isinstance(event, str) else json.dumps(event)
            self._chunk(f"data: {text}\n\n".encode())
        self._chunk(b"")

    def _head(self, reply: Reply, content_type: str, length: tuple[str, str]) -> None:
        self.send_response(reply.status)
        for name, value in {
            "content-type": content_type,
            length[0]: length[1],
            **self.owner.extra_headers,
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
