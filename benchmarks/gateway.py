"""Measure what the workshop's gateway adds: `python benchmarks/gateway.py [--quick] [--json FILE]`.

Thirty learners ask for a streamed reply at the same moment, of a paced server on loopback and through the gateway in
front of it, in turns. The server sends the first piece after 300 ms, then one every 25 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from replay import MODEL, ROOT, Row, report, row

sys.path[:0] = [str(ROOT / "workshop"), str(ROOT / "workshop" / "tests")]

import openai  # noqa: E402
from browser import free_port  # noqa: E402
from conftest import Gateway  # noqa: E402
from openai_server import chunks  # noqa: E402
from seats import Seat, prepare  # noqa: E402

LEARNERS = 30
FIRST, BETWEEN, PIECES = 0.3, 0.025, 40
WORDS = "나무 " * PIECES


async def serve(port: int) -> None:
    """Answer everything with the same paced stream."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            await asyncio.sleep(FIRST)
            for event in chunks(WORDS, asked):
                data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                await writer.drain()
                await asyncio.sleep(BETWEEN)
            writer.write(b"0\r\n\r\n")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", port) as server:
        await server.serve_forever()


class Upstream:
    """The paced server, in a process of its own, as the gateway's `upstream`."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])


@contextmanager
def room() -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        _rules, page = prepare(
            LEARNERS, Decimal(1), per_minute=10_000, address="http://127.0.0.1:4000", folder=Path(folder)
        )
        keys = [
            line.partition("=")[2]
            for line in page.read_text(encoding="utf-8").splitlines()
            if line.startswith("OPENAI_API_KEY=")
        ]
        seats = [Seat(f"seat-{number:02}", key) for number, key in enumerate(keys, 1)]
        upstream = Upstream(free_port())
        gateway = Gateway(Path(folder), upstream, seats)  # type: ignore[arg-type]
        try:
            gateway.start()
            yield gateway
        finally:
            gateway.stop()
            upstream.process.terminate()


async def learner(client: openai.AsyncOpenAI) -> tuple[float, float]:
    """Return when the first piece of text and the end came, in seconds."""
    start, first = time.perf_counter(), 0.0
    messages: Any = [{"role": "user", "content": "나무에 대해 알려 주세요."}]
    async for chunk in await client.chat.completions.create(model=MODEL, messages=messages, stream=True):
        if not first and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - start
    return first, time.perf_counter() - start


async def together(base_url: str, keys: list[str]) -> list[tuple[float, float]]:
    # A client takes 20 ms to make, and thirty laptops make theirs themselves.
    clients = [openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) for key in keys]
    try:
        return await asyncio.gather(*map(learner, clients))
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def rows(rounds: int) -> list[Row]:
    times: dict[str, list[tuple[float, float]]] = {"direct": [], "through the gateway": []}
    with room() as gateway:
        keys = [seat.key for seat in gateway.seats]
        ways = {"direct": gateway.upstream.base_url, "through the gateway": gateway.base_url}
        for url in ways.values():
            asyncio.run(together(url, keys[:2]))
        for _round in range(rounds):
            for name, url in ways.items():
                times[name] += asyncio.run(together(url, keys))
    return [each for name, taken in times.items() for each in _rows(name, taken)]


def _rows(name: str, taken: list[tuple[float, float]]) -> Iterator[Row]:
    for what, seconds in zip(("first token", "whole reply"), zip(*taken, strict=True), strict=True):
        ordered = sorted(seconds)
        late = ordered[int(0.95 * len(ordered))]
        note = f"95 in 100 within {1_000 * late:.0f} ms"
        yield row(f"{LEARNERS} learners at once, {name}: {what}", 1_000 * statistics.median(ordered), "ms", None, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
    else:
        on = f"Python {platform.python_version()}, openai {openai.__version__}, LiteLLM 1.106.2"
        report(on, rows(2 if options.quick else 10), options.json)


if __name__ == "__main__":
    main()
