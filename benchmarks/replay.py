"""Measure what chatkit costs: `python benchmarks/replay.py [--quick] [--json FILE]`.

Two ways of doing the same are timed in turns, a few calls at a time, and the median of the rounds' ratios is
told: the noise of a busy machine meets both. Import and load are timed in fresh processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import io
import json
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

MODEL = "gpt-6-luna"
LESSON = "01_bench"
URL = "https://api.openai.com/v1/chat/completions"
SOURCE = {"kind": "authored", "by": "the benchmark", "recorded": "2026-11-22", "why": "a measurement"}
WORDS = "하나 둘 셋 넷 다섯 여섯 일곱 여덟"  # with the role and the end: 10 chunks
Row = dict[str, Any]
Call = Callable[[], object]


def row(name: str, value: float | None, unit: str, bar: float | None = None, note: str = "") -> Row:
    met = None if bar is None or value is None else value <= bar
    return {"name": name, "value": value, "unit": unit, "bar": bar, "met": met, "note": note}


def body(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "model": MODEL, **fields}


def recording(prompt: str) -> recordings.Record:
    request = {"method": "POST", "path": "/chat/completions", "json": body(prompt)}
    head = {"status": 200, "ms": 640, "headers": {"content-type": "application/json"}}
    return recordings.make(request, SOURCE, [{"take": 1, **head, "json": completion(WORDS, MODEL)}])


def streamed(prompt: str) -> recordings.Record:
    asked = body(prompt, stream=True)
    events = [[ms, event] for ms, event in enumerate(chunks(WORDS, asked))]
    head = {"status": 200, "ms": 0, "headers": {"content-type": "text/event-stream; charset=utf-8"}}
    answer = {"take": 1, **head, "text": recordings.text_of(events), "events": events}
    return recordings.make({"method": "POST", "path": "/chat/completions", "json": asked}, SOURCE, [answer])


def start(root: Path, mode: str = "replay") -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        chatkit.start(LESSON, mode=mode, speed=0, folder=root)


def compare(base: Call, ours: Call, rounds: int, calls: int) -> tuple[float, float, float]:
    """Return the median ratio of `ours` to `base`, and the median seconds of each."""
    pairs = []
    base(), ours()
    gc.disable()
    try:
        for number in range(rounds):
            # The second of a pair finds warm caches: take turns.
            order = (base, ours) if number % 2 else (ours, base)
            seconds = {call: _seconds(call, calls) for call in order}
            pairs.append((seconds[base], seconds[ours]))
            if not number % 20:
                gc.collect()
    finally:
        gc.enable()
    bases, times = zip(*pairs, strict=True)
    return statistics.median(b / a for a, b in pairs), statistics.median(bases), statistics.median(times)


def _seconds(call: Call, calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begun) / calls


# requests


def replay_rows(root: Path, rounds: int) -> Iterator[Row]:
    """Compare replay with a bare mock transport that has the same bytes ready, in the same pieces."""
    for record in (recording("안녕"), streamed("안녕")):
        recordings.save(root / LESSON, record)
    start(root)
    for kind, stream in (("JSON request", False), ("10-chunk stream", True)):
        asked = body("안녕", **({"stream": True} if stream else {}))
        with httpx2.stream("POST", URL, json=asked) as came:
            pieces, headers = list(came.iter_raw()), dict(came.headers)

        def answer(_: httpx2.Request, pieces: list[bytes] = pieces, headers: Any = headers) -> httpx2.Response:
            stream = _Pieces(pieces) if len(pieces) > 1 else httpx2.ByteStream(pieces[0])
            return httpx2.Response(200, headers=headers, stream=stream)

        mock = httpx2.MockTransport(answer)
        bare, ours = openai.OpenAI(http_client=httpx2.Client(transport=mock)), openai.OpenAI(http_client=httpx2.Client())
        found = compare(lambda: _ask(bare, asked), lambda: _ask(ours, asked), rounds, 4)  # noqa: B023
        yield _ratio(f"replay / bare mock, {kind}, sync", found)

        with asyncio.Runner() as runner:
            bare_async = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=mock))
            ours_async = openai.AsyncOpenAI(http_client=httpx2.AsyncClient())
            calls = [lambda c=c: runner.run(_four(c, asked)) for c in (bare_async, ours_async)]  # noqa: B023
            yield _ratio(f"replay / bare mock, {kind}, async", compare(*calls, rounds, 1), 4)
    chatkit.stop()


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


def _ask(client: openai.OpenAI, asked: Any) -> None:
    answer = client.chat.completions.create(**asked)
    if asked.get("stream"):
        list(answer)


async def _four(client: openai.AsyncOpenAI, asked: Any) -> None:
    for _ in range(4):
        answer = await client.chat.completions.create(**asked)
        if asked.get("stream"):
            [chunk async for chunk in answer]


def _ratio(name: str, found: tuple[float, float, float], each: int = 1) -> Row:
    ratio, base, ours = found
    note = f"{1e6 * base / each:.0f} -> {1e6 * ours / each:.0f} us, +{1e6 * (ours - base) / each:.0f} us"
    return row(name, round(ratio, 3), "x", 1.10, note)


def record_rows(root: Path, rounds: int, pause: float = 0.02) -> Iterator[Row]:
    """Time the first chunk of ten that come with pauses, recorded and not."""

    def paced(asked: Any) -> Iterator[Any]:
        for event in chunks(WORDS, asked):
            yield event
            time.sleep(pause)

    with OpenAIServer(lambda asked: Reply(events=paced(asked))) as server, _environment(server):  # type: ignore[arg-type]
        client = openai.OpenAI(base_url=server.base_url, api_key="loopback-key")
        times: dict[str, list[tuple[float, float]]] = {"live": [], "record": []}
        for number in range(rounds + 1):
            for mode in sorted(times, reverse=bool(number % 2)):
                start(root, mode)
                begun = time.perf_counter()
                stream = client.chat.completions.create(**body(f"{number}", stream=True))
                next(stream)
                first = time.perf_counter() - begun
                list(stream)
                times[mode].append((first, time.perf_counter() - begun))
        chatkit.stop()
    pairs = list(zip(*(times[mode][1:] for mode in ("live", "record")), strict=True))  # the first round warms up
    later = statistics.median(1e3 * (b[0] - a[0]) for a, b in pairs)
    total = statistics.median(b[1] / a[1] for a, b in pairs)
    firsts = " -> ".join(f"{1e3 * statistics.median(pair[i][0] for pair in pairs):.1f}" for i in (0, 1))
    whole = 1e3 * statistics.median(b[1] for _a, b in pairs)
    yield row("first chunk in record mode, later than direct by", round(later, 2), "ms", None, f"{firsts} ms of {whole:.0f}")
    yield row("whole stream in record mode / direct, file saved", round(total, 3), "x")


@contextlib.contextmanager
def _environment(server: OpenAIServer) -> Iterator[None]:
    import os

    ours = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "loopback-key"}
    before = dict(os.environ)
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# fresh processes

_BEYOND = "import time, openai; t = time.perf_counter(); {what}; print(1e3 * (time.perf_counter() - t))"
_LOAD = """
import contextlib, io, json, os, resource, sys, time
from pathlib import Path
def resident():
    status = Path("/proc/self/statm")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return int(status.read_text().split()[1]) * resource.getpagesize() / (1 << 20)
kind, empty, path = sys.argv[1:]
def load(where):
    if kind == "vcrpy":
        return vcr.cassette.Cassette.load(path=str(where))
    with contextlib.redirect_stdout(io.StringIO()):
        chatkit.start("01_bench", mode="replay", folder=where)
if kind == "vcrpy":
    import vcr
else:
    import chatkit
    chatkit.start
load(empty)  # what is imported and made once is not counted
before, begun = resident(), time.perf_counter()
kept = load(path)
print(json.dumps([1e3 * (time.perf_counter() - begun), resident() - before]))
"""


def fresh(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def import_rows(times: int) -> Iterator[Row]:
    for what, bar in (("import chatkit", 10.0), ("from chatkit import start", None)):
        taken = statistics.median(float(fresh(_BEYOND.format(what=what))) for _ in range(times))
        yield row(f"`{what}` beyond `import openai`", round(taken, 2), "ms", bar)


def load_rows(root: Path, counts: list[int], times: int) -> Iterator[Row]:
    """Load ever more recordings in fresh processes, and as many interactions of a vcrpy cassette."""
    kinds = ["chatkit", *(["vcrpy"] if importlib.util.find_spec("vcr") else [])]
    if "vcrpy" not in kinds:
        print("vcrpy is not installed: its rows are left out (pip install vcrpy)", file=sys.stderr)
    each: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for count in counts:
        made = [recording(f"{number}번째 질문") for number in range(count)]
        for record in made:
            path = root / str(count) / LESSON / recordings.file_name(record)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(recordings.dump(record), encoding="utf-8")
        for kind in kinds:
            where, empty = root / str(count), root / "empty"
            (empty / LESSON).mkdir(parents=True, exist_ok=True)
            if kind == "vcrpy":
                where, empty = _cassette(root / f"{count}.yaml", made), _cassette(root / "one.yaml", made[:1])
            runs = [json.loads(fresh(_LOAD, kind, empty, where)) for _ in range(times)]
            ms, mib = (statistics.median(column) for column in zip(*runs, strict=True))
            each[kind].append((ms / count, mib / count))
            note = f"{1e3 * ms / count:.0f} us and {1_024 * mib / count:.1f} KiB each"
            yield row(f"{kind}: load {count:,} recordings", round(ms, 1), "ms", None, note)
            yield row(f"{kind}: resident memory of {count:,}", round(mib, 1), "MiB")
    if len(counts) > 2:
        for name, column in (("time", 0), ("memory", 1)):
            growth = each["chatkit"][-1][column] / each["chatkit"][-2][column]
            yield row(f"load {name} of one, among {counts[-1]:,} / {counts[-2]:,}", round(growth, 2), "x", 1.5, "1 is linear")


def _cassette(path: Path, made: list[recordings.Record]) -> Path:
    import vcr.serialize
    from vcr.serializers import yamlserializer

    requests = [vcr.request.Request("POST", URL, json.dumps(r["request"]["json"]), {}) for r in made]
    responses = []
    for record in made:
        text = json.dumps(record["responses"][0]["json"], ensure_ascii=False)
        headers = {"content-type": ["application/json"]}
        responses.append({"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": text}})
    cassette = {"requests": requests, "responses": responses}
    path.write_text(vcr.serialize.serialize(cassette, yamlserializer), encoding="utf-8")
    return path


# single requests


def image_row(root: Path, rounds: int) -> Row:
    """Send a data URL of 10 MB through replay and through the bare mock: the difference is the matching."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 1_250_000}}
    asked = {"model": MODEL, "messages": [{"role": "user", "content": [picture]}]}
    content = json.dumps(asked).encode()
    request = recordings.normalise("POST", httpx2.URL(URL), content, bases=[recordings.OPENAI_BASE])
    answers = recording("")["responses"]
    recordings.save(root / LESSON, recordings.make(request, SOURCE, answers))
    start(root)
    reply = json.dumps(answers[0]["json"]).encode()
    bare = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=reply)))
    with httpx2.Client() as ours:
        _, base, mine = compare(lambda: bare.post(URL, content=content), lambda: ours.post(URL, content=content), rounds, 1)
    chatkit.stop()
    return row("match a data URL of 10 MB", round(1e3 * (mine - base), 1), "ms", 50.0)


def miss_row(root: Path, count: int, times: int) -> Row:
    start(root / str(count))
    client, taken, message = openai.OpenAI(max_retries=0), [], ""
    for number in range(times):
        begun = time.perf_counter()
        try:
            client.chat.completions.create(**body(f"{number}번째로 다른 질문"))
        except chatkit.MissingRecording as error:
            message = str(error)
        taken.append(time.perf_counter() - begun)
    chatkit.stop()
    if "content" not in message:
        raise AssertionError(f"the miss names no difference: {message}")
    return row(f"MissingRecording among {count:,}", round(1e3 * statistics.median(taken), 1), "ms")


def table(rows: list[Row]) -> str:
    said = {True: "met", False: "MISSED", None: ""}
    lines = [f"{'':<52} {'measured':>14} {'bar':>10}"]
    for item in rows:
        bar = f"<= {item['bar']:g}" if item["bar"] is not None else ""
        lines.append(
            f"{item['name']:<52} {item['value']:>10,} {item['unit']:<3} {bar:>10} {said[item['met']]:<6} {item['note']}"
        )
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and at most 1,000 recordings")
    options = parser.parse_args()
    quick = options.quick
    counts = [10, 1_000] if quick else [10, 1_000, 10_000]
    with tempfile.TemporaryDirectory(prefix="chatkit-bench-") as folder:
        root = Path(folder)
        rows = [
            *replay_rows(root, 60 if quick else 300),
            *record_rows(root, 3 if quick else 9),
            *import_rows(5 if quick else 15),
            *load_rows(root, counts, 1 if quick else 3),
            image_row(root, 5 if quick else 15),
            miss_row(root, counts[-1], 2 if quick else 5),
        ]
    machine = f"Python {platform.python_version()}, openai {openai.__version__}, httpx2 {httpx2.__version__}"
    print(f"{machine}, {platform.system()} {platform.machine()}\n{table(rows)}")
    if options.json:
        options.json.write_text(json.dumps({"on": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
