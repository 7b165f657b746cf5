"""What a learner's cell does with the plain SDK, in short words, and the recordings it needs."""

from __future__ import annotations

from typing import Any

import openai

from chatkit.recordings import Json, Request

LUNA = "gpt-6-luna"


def chat(prompt: str, **body: Any) -> Request:
    """Return the normalised request of a one-message chat."""
    return {
        "method": "POST",
        "path": "/chat/completions",
        "json": {"messages": [{"role": "user", "content": prompt}], "model": LUNA, **body},
    }


def ask(prompt: str, client: openai.OpenAI | None = None, **body: Any) -> str:
    """Ask as a learner's cell does and return the reply's text."""
    completions = (client or openai.OpenAI(max_retries=0)).chat.completions
    completion = completions.create(**{"model": LUNA, "messages": [{"role": "user", "content": prompt}], **body})
    return completion.choices[0].message.content


def stream(prompt: str, client: openai.OpenAI, **body: Any) -> openai.Stream[Any]:
    """Open a streamed reply."""
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(**{"model": LUNA, "messages": messages, "stream": True, **body})


def words(chunks: Any) -> list[str]:
    """Return the pieces of text of a list of chunks."""
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]


async def ask_async(prompt: str, client: openai.AsyncOpenAI | None = None, **body: Any) -> str:
    """As `ask`, with the asynchronous client."""
    if client is None:
        async with openai.AsyncOpenAI(max_retries=0) as own:
            return await ask_async(prompt, own, **body)
    messages = [{"role": "user", "content": prompt}]
    completion = await client.chat.completions.create(**{"model": LUNA, "messages": messages, **body})
    return completion.choices[0].message.content


def failure(status: int, code: str | None = None, message: str = "그럴 수 없습니다.", **headers: str) -> Json:
    """Return a recorded error in the API's shape; an underscore in a header's name stands for a dash."""
    return {
        "status": status,
        "ms": 1,
        "headers": {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        "json": {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}},
    }
