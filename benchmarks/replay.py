"""Measure what chatkit costs: `python benchmarks/replay.py [--quick] [--json FILE]`.

Two ways of doing the same are timed in turns, a few calls at a time, and the median of the rounds' ratios is
told, so that the noise of a busy machine meets both. Import and load are timed in fresh processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from openai_server import OpenAIServer, Reply, chunks, completion  # noqa: E402

import chatkit  # noqa: E402
from chatkit import recordings  # noqa: E402

MODEL, LESSON = "gpt-6-luna", "01_bench"
URL = "https://api.openai.com/v1/chat/completions"
WORDS = "하나 둘 셋 넷 다섯 여섯 일곱 여덟"  # with the role and the end: 10 chunks
PAUSE = 0.02
Row = dict[str, Any]
Call = Callable[[], object]


def row(name: str, value: float, unit: str, bar: float | None = None, note: str = "") -> Row:
    return {"name": name, "value": value, "unit": unit, "bar": bar, "met": bar is None or value <= bar, "note": note}


def body(prompt: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "model": MODEL, **fields}


def recorded(asked: dict[str, Any]) -> recordings.Record:
    answer: dict[str, Any] = {"headers": {"content-type": "application/json"}, "json": completion(WORDS, MODEL)}
    if asked.get("stream"):
        events = [[ms, event] for ms, event in enumerate(chunks(WORDS, asked))]
        answer = {"headers": {"content-type": "text/event-stream; charset=utf-8"}, "events": events}
    source = {"kind": "authored", "by": "the benchmark", "recorded": "2026-11-22", "why": "a measurement"}
    request = recordings.normalise("POST", httpx2.URL(URL), json.dumps(asked).encode(), bases=[recordings.OPENAI_BASE])
    return recordings.make(request, source, [{"take": 1, "status": 200, "ms": 640, **answer}])


@contextlib.contextmanager
def started(root: Path, mode: str = "replay") -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        chatkit.start(LESSON, mode=mode, speed=0, folder=root)
    try:
        yield
    finally:
        chatkit.stop()


def compare(base: Call, ours: Call, rounds: int, calls: int) -> tuple[float, float, float]:
    """Return the median ratio of `ours` to `base`, and the median seconds of each."""
    base(), ours()
    pairs = []
    gc.disable()
    try:
        for number in range(rounds):
            # The second of a pair finds warm caches: take turns.
            order = (base, ours) if number % 2 else (ours, base)
            taken = {call: seconds(call, calls) for call in order}
            pairs.append((taken[base], taken[ours]))
            gc.collect(0)
    finally:
        gc.enable()
    bases, times = zip(*pairs, strict=True)
    return statistics.median(b / a for a, b in pairs), statistics.median(bases), statistics.median(times)


def seconds(call: Call, calls: int = 1) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begun) / calls


class Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


def replay_rows(root: Path, rounds: int, calls: int = 4) -> Iterator[Row]:
    """Compare replay with a bare mock transport that has the same bytes ready, in the same pieces."""
    for asked in (body("안녕"), body("안녕", stream=True)):
        recordings.save(root / LESSON, recorded(asked))
        kind = "10-chunk stream" if asked.get("stream") else "JSON request"
        with started(root):
            with httpx2.stream("POST", URL, json=asked) as came:
                pieces, headers = list(came.iter_raw()), dict(came.headers)
            mock = httpx2.MockTransport(
                lambda _, p=pieces, h=headers: httpx2.Response(200, headers=h, stream=Pieces(p))
            )
            each = [httpx2.Client(transport=transport) for transport in (mock, httpx2.HTTPTransport())]
            asks = [sync_ask(openai.OpenAI(http_client=client), asked) for client in each]
            yield against_bare(f"{kind}, sync", compare(*asks, rounds, calls), 1)
            with asyncio.Runner() as runner:
                each = [httpx2.AsyncClient(transport=transport) for transport in (mock, httpx2.AsyncHTTPTransport())]
                asks = [async_ask(openai.AsyncOpenAI(http_client=client), asked, runner, calls) for client in each]
                yield against_bare(f"{kind}, async", compare(*asks, rounds, 1), calls)


def sync_ask(client: openai.OpenAI, asked: Any) -> Call:
    def ask() -> None:
        answer = client.chat.completions.create(**asked)
        if asked.get("stream"):
            list(answer)

    return ask


def async_ask(client: openai.AsyncOpenAI, asked: Any, runner: asyncio.Runner, calls: int) -> Call:
    async def ask() -> None:
        for _ in range(calls):
            answer = await client.chat.completions.create(**asked)
            if asked.get("stream"):
                [chunk async for chunk in answer]

    return lambda: runner.run(ask())


def against_bare(name: str, found: tuple[float, float, float], calls: int) -> Row:
    ratio, base, ours = found[0], *(1e6 * value / calls for value in found[1:])
    return row(f"replay / bare mock, {name}", round(ratio, 3), "x", 1.10, f"{base:.0f} -> {ours:.0f} us")


def record_rows(root: Path, rounds: int) -> Iterator[Row]:
    """Time the first of ten chunks that come with pauses, direct and recorded."""

    def paced(asked: Any) -> Iterator[Any]:
        for event in chunks(WORDS, asked):
            yield event
            time.sleep(PAUSE)

    firsts: dict[str, list[float]] = {"live": [], "record": []}
    with OpenAIServer(lambda asked: Reply(events=paced(asked))) as server:  # type: ignore[arg-type]
        os.environ.update(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="loopback-key")
        client = openai.OpenAI()
        for number in range(rounds + 1):
            for mode in sorted(firsts, reverse=bool(number % 2)):
                with started(root, mode):
                    begun = time.perf_counter()
                    stream = client.chat.completions.create(**body(f"{number}", stream=True))
                    next(stream)
                    firsts[mode].append(1e3 * (time.perf_counter() - begun))
                    list(stream)
        del os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
    direct, recording = firsts["live"][1:], firsts["record"][1:]  # the first round warms up
    later = statistics.median(b - a for a, b in zip(direct, recording, strict=True))
    note = f"{statistics.median(direct):.1f} -> {statistics.median(recording):.1f} ms of {11e3 * PAUSE:.0f} ms"
    yield row("first chunk in record mode, later than direct", round(later, 2), "ms", None, note)


BEYOND = "import time, openai; t = time.perf_counter(); {what}; print(1e3 * (time.perf_counter() - t))"
LOAD = """
import contextlib, importlib, io, json, os, sys, time
from pathlib import Path
module, *paths = sys.argv[1:]
tool, kept = importlib.import_module(module), []
getattr(tool, "start", None)  # imports what is left
def resident():
    pages = Path("/proc/self/statm")  # Linux alone tells it without a further package
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20) if pages.exists() else 0
def load(where):
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        vcr = module == "vcr"
        kept.append(tool.cassette.Cassette.load(path=where) if vcr else tool.start("01_bench", folder=where))
    return 1e3 * (time.perf_counter() - begun)
first, before = load(paths[0]), resident()  # what is imported and made once
print(json.dumps([load(paths[1]), resident() - before, first]))
"""


def fresh(code: str, *arguments: object) -> Any:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def import_rows(times: int) -> Iterator[Row]:
    for what, bar in (("import chatkit", 10.0), ("from chatkit import start", None)):
        taken = statistics.median(fresh(BEYOND.format(what=what)) for _ in range(times))
        yield row(f"`{what}` beyond `import openai`", round(taken, 2), "ms", bar)


def load_rows(root: Path, counts: list[int], times: int) -> Iterator[Row]:
    """Load ever more recordings in fresh processes, and as many interactions of a vcrpy cassette."""
    modules = ["chatkit", "vcr"] if importlib.util.find_spec("vcr") else ["chatkit"]
    if len(modules) == 1:
        print("vcrpy is not installed: its rows are left out (pip install vcrpy)", file=sys.stderr)
    for module in modules:
        each = []
        for count in counts:
            paths = [stored(module, root / str(n), n) for n in (1, count)]
            runs = [fresh(LOAD, module, *paths) for _ in range(times)]
            ms, mib, first = (statistics.median(column) for column in zip(*runs, strict=True))
            each.append((ms / count, mib / count))
            note = f"{1e3 * ms / count:.0f} us each; the first in a process {first:.0f} ms"
            yield row(f"{module}: load {count:,} recordings", round(ms, 1), "ms", None, note)
            yield row(f"{module}: their memory", round(mib, 1), "MiB", None, f"{1_024 * mib / count:.1f} KiB each")
        if len(counts) > 2:
            for name, last, before in zip(("time", "memory"), each[-1], each[-2], strict=True):
                named = f"{module}: {name} of one, {counts[-1]:,} / {counts[-2]:,}"
                growth = round(last / before, 2) if before else 0.0
                yield row(named, growth, "x", 1.5 if module == "chatkit" else None, "1 is linear")


def stored(module: str, root: Path, count: int) -> Path:
    """Write that many interactions to disk and return where."""
    made = [recorded(body(f"{number}번째 질문")) for number in range(count)]
    (root / LESSON).mkdir(parents=True, exist_ok=True)
    if module == "chatkit":
        for record in made:
            (root / LESSON / recordings.file_name(record)).write_text(recordings.dump(record), encoding="utf-8")
        return root

    import vcr.serialize
    from vcr.serializers import yamlserializer

    requests = [vcr.request.Request("POST", URL, json.dumps(record["request"]["json"]), {}) for record in made]
    head = {"status": {"code": 200, "message": "OK"}, "headers": {"content-type": ["application/json"]}}
    texts = [json.dumps(record["responses"][0]["json"], ensure_ascii=False) for record in made]
    cassette = {"requests": requests, "responses": [{**head, "body": {"string": text}} for text in texts]}
    path = root / "cassette.yaml"
    path.write_text(vcr.serialize.serialize(cassette, yamlserializer), encoding="utf-8")
    return path


def image_row(root: Path, rounds: int) -> Row:
    """Post a data URL of 10 MB in replay and to the bare mock: the difference is what matching takes."""
    asked = body([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 1_250_000}}])
    recordings.save(root / LESSON, recorded(asked))
    content = json.dumps(asked).encode()
    mock = httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"{}"))
    bare, ours = (httpx2.Client(transport=transport) for transport in (mock, httpx2.HTTPTransport()))
    with started(root):
        posts = [lambda c=client: c.post(URL, content=content).raise_for_status() for client in (bare, ours)]
        _ratio, base, mine = compare(*posts, rounds, 1)
    return row("match a data URL of 10 MB", round(1e3 * (mine - base), 1), "ms", 50.0)


def miss_row(root: Path, count: int, times: int) -> Row:
    def miss() -> None:
        with contextlib.suppress(chatkit.MissingRecording):
            client.chat.completions.create(**body("다른 질문"))

    with started(root / str(count)):
        client = openai.OpenAI(max_retries=0)
        taken = statistics.median(seconds(miss) for _ in range(times))
    return row(f"MissingRecording among {count:,}", round(1e3 * taken, 1), "ms")


def table(rows: list[Row]) -> str:
    lines = [f"{'':<50} {'measured':>12}  {'bar':>12}"]
    for item in rows:
        verdict = "" if item["bar"] is None else f"<= {item['bar']:g} " + ("met" if item["met"] else "MISSED")
        lines.append(f"{item['name']:<50} {item['value']:>9,} {item['unit']:<3} {verdict:>14}  {item['note']}".rstrip())
    return "\n".join(lines)


def report(packages: str, rows: list[Row], file: Path | None) -> None:
    """Print the rows below what they were measured on, and write both to a file, if one is named."""
    print(f"{packages}, {platform.system()} {platform.machine()}\n{table(rows)}")
    if file:
        file.write_text(json.dumps({"on": packages, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and at most 1,000 recordings")
    options = parser.parse_args()
    many, some, few = (60, 5, 1) if options.quick else (1_000, 15, 3)
    counts = [10, 1_000] if options.quick else [10, 1_000, 10_000]
    with tempfile.TemporaryDirectory(prefix="chatkit-bench-") as folder:
        root = Path(folder)
        rows = [*replay_rows(root, many), *record_rows(root, some), *import_rows(some), *load_rows(root, counts, few)]
        rows += [image_row(root, some), miss_row(root, counts[-1], few)]
    packages = f"Python {platform.python_version()}, openai {openai.__version__}, httpx2 {httpx2.__version__}"
    report(packages, rows, options.json)


if __name__ == "__main__":
    main()
