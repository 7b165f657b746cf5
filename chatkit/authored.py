"""Write a reply by hand, in the API's wire format, for a request that cannot be sent."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Iterator
from typing import Any

from chatkit import tokens
from chatkit.recordings import Json, Record, Request, key_of, make, text_of

Reply = str | dict[str, Any]
# A small model's pace: about 80 tokens a second.
_TOKEN_MS = 12
_BREAKS = {"cut", "end", "stall"}


def parse(text: str) -> list[Reply]:
    """Return the takes that a maintainer typed: plain text, or JSON for anything but a plain reply.

    A JSON object with `status` is a whole response in the recording's form. One without may hold `reply`,
    `message` (fields of the assistant's message), `finish_reason`, `reasoning_tokens`, `token_ms` (the pace of a
    stream), and `constructed`, which marks the record. A streamed one may break off after n events: `cut`
    (connection lost), `end` (cleanly, with no closing mark) or `stall` (silence for a minute). A JSON list holds
    several takes.
    """
    plain = text.strip("\n")
    try:
        value = json.loads(text)
    except ValueError:
        return [plain]
    takes = value if isinstance(value, list) else [value]
    return takes if takes and all(_is_shaped(take) for take in takes) else [plain]


def _is_shaped(take: Json) -> bool:
    return isinstance(take, dict) and bool(take.keys() & {"status", "fault", "reply", "message"})


def record(request: Request, replies: list[Reply], *, by: str, why: str, constructed: bool = False) -> Record:
    """Return an `authored` record that answers a request with these takes."""
    today = datetime.datetime.now(datetime.UTC).date()
    source = {"kind": "authored", "by": by, "recorded": today.isoformat(), "why": why}
    key = key_of(request)
    responses = [{"take": n, **response(request, reply, f"{key}-{n}", today)} for n, reply in enumerate(replies, 1)]
    constructed = constructed or any(_is_constructed(reply) for reply in replies if isinstance(reply, dict))
    return make(request, source, responses, constructed=constructed)


def _is_constructed(reply: dict[str, Any]) -> bool:
    return bool(reply.keys() & _BREAKS or reply.get("constructed"))


def response(request: Request, reply: Reply, name: str, today: datetime.date) -> Json:
    """Return a response in the recording's form, without its take, that gives this reply to a request.

    `name` makes the reply's id, and its times: the same name gets the same ones.
    """
    given: dict[str, Any] = {"reply": reply} if isinstance(reply, str) else reply
    if "status" in given or "fault" in given:
        head = {} if "fault" in given else {"ms": 180, "headers": {"content-type": "application/json"}}
        return {**head, **{name: value for name, value in given.items() if name != "constructed"}}
    body = request["json"]
    text = given.get("reply")
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": [], **given.get("message", {})}
    finish = given.get("finish_reason", "tool_calls" if "tool_calls" in message else "stop")
    usage = _usage(body, message, given.get("reasoning_tokens", 0))
    midnight = datetime.datetime.combine(today, datetime.time(), datetime.UTC)
    common = {
        "id": f"chatcmpl-example-{name}",
        "created": int(midnight.timestamp()),
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": None,
    }
    rhythm = random.Random(name)  # seeded: the same request gets the same plausible times
    first = rhythm.randint(360, 620)
    if body.get("stream"):
        token_ms = given.get("token_ms", _TOKEN_MS)
        return _broken(given, _stream(body, common, message, finish, usage, first, token_ms, rhythm))
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    answer = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
    ms = first + _TOKEN_MS * usage["completion_tokens"]
    headers = {"content-type": "application/json", "openai-processing-ms": str(ms - rhythm.randint(30, 60))}
    return {"status": 200, "ms": ms, "headers": headers, "json": answer}


def _usage(body: Json, message: Json, reasoning: int) -> Json:
    sent = tokens.count_messages(body["messages"])
    said = tokens.count(message.get("content") or message.get("refusal") or "") + reasoning
    for call in message.get("tool_calls") or []:
        said += tokens.count(json.dumps(call["function"], ensure_ascii=False))
    return {
        "prompt_tokens": sent,
        "completion_tokens": said,
        "total_tokens": sent + said,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _stream(
    body: Json,
    common: Json,
    message: Json,
    finish: str,
    usage: Json,
    first: int,
    token_ms: float,
    rhythm: random.Random,
) -> Json:
    with_usage = (body.get("stream_options") or {}).get("include_usage", False)
    rest = {"usage": None} if with_usage else {}

    def chunk(delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**common, "object": "chat.completion.chunk", "choices": [choice], **rest}

    deltas = [{"role": "assistant", "content": "", "refusal": None}, *_deltas(message, rhythm)]
    now, events = first, []
    for delta in deltas:
        events.append([now, chunk(delta)])
        said = tokens.count(delta.get("content") or delta.get("refusal") or "")
        now += round(token_ms * rhythm.uniform(0.5, 1.5) * max(1, said))
    events.append([now, chunk({}, finish)])
    if with_usage:
        events.append([now, {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}])
    events.append([now + 1, "[DONE]"])
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return {"status": 200, "ms": first, "headers": headers, "text": text_of(events), "events": events}


def _broken(given: dict[str, Any], response: Json) -> Json:
    events = response["events"]
    if "cut" in given:
        return {**response, "cut": given["cut"]}
    if "stall" in given:
        late = [[ms + 60_000, *event] for ms, *event in events[given["stall"] :]]
        return {**response, "events": [*events[: given["stall"]], *late]}
    if "end" in given:
        kept = events[: given["end"]]
        return {**response, "text": text_of(kept), "events": kept}
    return response


def _deltas(message: Json, rhythm: random.Random) -> Iterator[Json]:
    for name in ("content", "refusal"):
        yield from ({name: piece} for piece in _pieces(message[name] or "", rhythm))
    for index, call in enumerate(message.get("tool_calls") or []):
        arguments = call["function"]["arguments"]
        opening = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield {"tool_calls": [opening]}
        for piece in _pieces(arguments, rhythm):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str, rhythm: random.Random) -> Iterator[str]:
    # A piece on the wire is a token as a rule, now and then two.
    pieces = iter(tokens.split(text))
    for piece in pieces:
        yield piece + (next(pieces, "") if rhythm.random() < 0.15 else "")
