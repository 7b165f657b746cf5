"""Measure what a streamed reply costs in a notebook: `python benchmarks/display.py [--quick] [--json FILE]`.

One real kernel shows the same chunks in the ways people use, one after another. Every iopub message is counted as it
comes over the wire, read at once and folded into the saved output as a front end does; the CPU is that of the whole
kernel process, beside the same loop that shows nothing. Chunks come at real pace: with 10,000 it takes ten minutes.
"""

from __future__ import annotations

import argparse
import ast
import gc
import html
import importlib.util
import itertools
import json
import math
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2
import nbformat
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from isolation import environment  # noqa: E402
from replay import LESSON, MODEL, URL, body, started  # noqa: E402

import chatkit  # noqa: E402
from chatkit import recordings  # noqa: E402

PARAGRAPH = """## 조각이 오는 대로

모델은 답을 **조각조각** 보냅니다. 첫 조각이 빨리 오면 기다림이 짧게 느껴지고, 나머지는 읽는 동안 도착합니다.

- 조각의 크기는 정해져 있지 않습니다.
- 합치면 `message.content`와 같은 글이 됩니다.

"""
PER_SECOND = 200
Row = dict[str, Any]
Stream = Iterable[ChatCompletionChunk]


def texts(count: int) -> list[str]:
    """Return that many pieces of Korean Markdown, 1 to 5 characters each, the same ones every time."""
    sizes = random.Random(3).choices(range(1, 6), k=count)
    text, ends = PARAGRAPH * (5 * count // len(PARAGRAPH) + 1), itertools.accumulate(sizes)
    return [text[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def events(count: int) -> list[dict[str, Any]]:
    common = {"id": "chatcmpl-bench", "created": 1_795_305_600, "model": MODEL, "object": "chat.completion.chunk"}
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": text}, None) for text in texts(count)]
    return [
        {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]


# In the kernel: the ways to show a stream.


def pieces(stream: Stream) -> Iterator[str]:
    for chunk in stream:
        if piece := chunk.choices[0].delta.content:
            yield piece


def growing(stream: Stream) -> Iterator[str]:
    text = ""
    for piece in pieces(stream):
        text += piece
        yield text


def nothing(stream: Stream) -> None:
    for _text in growing(stream):
        pass


def bare_print(stream: Stream) -> None:
    for piece in pieces(stream):
        print(piece, end="", flush=True)


def update_display(stream: Stream) -> None:
    from IPython.display import Markdown, display

    handle = display(Markdown(""), display_id=True)
    for text in growing(stream):
        handle.update(Markdown(text))


def clear_output(stream: Stream) -> None:
    from IPython.display import Markdown, clear_output, display

    for text in growing(stream):
        clear_output(wait=True)
        display(Markdown(text))


def widget(stream: Stream) -> None:
    from IPython.display import display
    from ipywidgets import HTML

    box = HTML()
    display(box)
    for text in growing(stream):
        box.value = text


def rich_live(stream: Stream) -> None:
    from rich.live import Live
    from rich.markdown import Markdown

    with Live() as live:
        for text in growing(stream):
            live.update(Markdown(text))


RAW, OURS, UPDATE = "nothing: the loop alone", "chatkit.stream", "update_display(Markdown(all))"
REPLAY = "chatkit.stream of a real replay"
WAYS: dict[str, Callable[[Stream], object]] = {
    RAW: nothing,
    OURS: lambda stream: chatkit.stream(stream),
    "print(piece, flush=True)": bare_print,
    UPDATE: update_display,
    "clear_output, display(Markdown(all))": clear_output,
    "ipywidgets.HTML.value": widget,
    "rich.live.Live(Markdown(all))": rich_live,
}
NEEDS = {"ipywidgets.HTML.value": "ipywidgets", "rich.live.Live(Markdown(all))": "rich"}


class Paced:
    """Gives chunks at a pace, or at once, and no more of them when its patience ends; `came` counts them."""

    def __init__(self, chunks: list[ChatCompletionChunk], pace: float) -> None:
        self._chunks, self._pace, self.came = chunks, pace, 0
        self._patience = max(60.0, 2 * len(chunks) * pace)

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        begun = time.perf_counter()
        for chunk in self._chunks:
            passed = time.perf_counter() - begun
            if passed > self._patience:
                return
            # Each chunk has its own moment: a slow display is late, and then finds what has come in between.
            if (early := self.came * self._pace - passed) > 0:
                time.sleep(early)
            self.came += 1
            yield chunk


def show(name: str, count: int, pace: float) -> Row:
    stream = Paced([ChatCompletionChunk.model_validate(event) for event in events(count)], pace)
    return {**measured(lambda: WAYS[name](stream)), "came": min(count, stream.came)}  # the last one has no text


def replay(count: int, root: str) -> Row:
    """Show a recording of that many chunks as a lesson does, at full speed."""
    asked = body(f"{count}", stream=True)
    request = recordings.normalise("POST", httpx2.URL(URL), json.dumps(asked).encode(), bases=[recordings.OPENAI_BASE])
    source = {"kind": "authored", "by": "the benchmark", "recorded": "2026-11-22", "why": "a measurement"}
    timed = [[5 * number, event] for number, event in enumerate([*events(count), "[DONE]"])]
    answer = {"status": 200, "headers": {"content-type": "text/event-stream; charset=utf-8"}, "events": timed}
    recordings.save(Path(root) / LESSON, recordings.make(request, source, [{"take": 1, "ms": 640, **answer}]))
    with started(Path(root)):
        client = OpenAI()
        return {**measured(lambda: chatkit.stream(client.chat.completions.create(**asked))), "came": count}


SENT = itertools.count()


def count_sent() -> None:
    """Count every message this kernel sends: ZMQ drops some if the other side does not keep up."""
    session = sys.modules["IPython"].get_ipython().kernel.session
    send = session.send

    def counted(*arguments: Any, **options: Any) -> Any:
        next(SENT)
        return send(*arguments, **options)

    session.send = counted


def measured(call: Callable[[], object]) -> Row:
    """Return the seconds a call takes, and the CPU seconds of all threads of this process until all is sent."""
    gc.collect()
    before, begun, cpu = next(SENT), time.perf_counter(), time.process_time()
    call()
    sys.stdout.flush()  # waits for the thread that sends
    taken, used = time.perf_counter() - begun, time.process_time() - cpu
    return {"seconds": taken, "cpu": used, "sent": next(SENT) - before - 1}


# Beside the kernel: the wire and the saved output.


class Kernel:
    """A real kernel, and what comes out of it."""

    def __enter__(self) -> Kernel:
        self._home = tempfile.TemporaryDirectory(prefix="chatkit-bench-", ignore_cleanup_errors=True)
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "benchmarks")))
        surroundings = {**environment(Path(self._home.name)), "PYTHONPATH": path, "CHATKIT_FPS": ""}
        self._manager, self._client = start_new_kernel(
            kernel_name="python3",
            env=surroundings,
            cwd=self._home.name,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._home.cleanup()

    def show(self, name: str, count: int, pace: float) -> Row:
        return self._measured(name, count, pace, f"bench.show({name!r}, {count}, {pace})")

    def replay(self, count: int) -> Row:
        return self._measured(REPLAY, count, 0.0, f"bench.replay({count}, {self._home.name!r})")

    def _measured(self, name: str, count: int, pace: float, call: str) -> Row:
        print(f"{name}: {count:,} chunks{f' at {1 / pace:.0f}/s' if pace else ''}", file=sys.stderr)
        seen = self.run(f"found = {call}", "found")
        found = seen.pop("found")
        expected = letters("".join(texts(count)[: found["came"]]))
        kept = {where: share(expected, letters(seen.pop(where))) for where in ("shown", "saved")}
        return {"name": name, "chunks": count, "pace": pace, **seen, **kept, **found}

    def run(self, code: str, found: str) -> Row:
        """Run code and return what it sent, what a front end makes of it, and the value of an expression."""
        cell = nbformat.v4.new_code_cell()
        page = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), store_widget_state=True)
        page.kc, page.clear_before_next_output = self._client, False
        page.reset_execution_trackers()
        asked = self._client.execute(code, store_history=False, user_expressions={"found": found})
        seen: Row = {"messages": 0, "bytes": 0, "kinds": {}}
        for message, size in self._messages(asked):
            kind = message["msg_type"]
            seen["messages"] += 1
            seen["bytes"] += size
            seen["kinds"][kind] = seen["kinds"].get(kind, 0) + 1
            page.process_message(message, cell, 0)
        cell.outputs = merged(cell.outputs)
        shown, saved = ("".join(shown_text(cell.outputs, state)) for state in (page.widget_state, {}))
        return {**seen, "shown": shown, "saved": saved, "saved_bytes": size_of(cell), "found": self._reply(asked)}

    def _messages(self, asked: str) -> Iterator[tuple[Row, int]]:
        """Yield each message about a request and its bytes on the wire, as soon as it comes."""
        socket, session = self._client.iopub_channel.socket, self._client.session
        while True:
            while not socket.poll(10_000):
                if self._client.shell_channel.msg_ready():
                    return  # the message that says so was dropped
            frames = socket.recv_multipart()
            message = session.deserialize(session.feed_identities(frames)[1])
            if message["parent_header"].get("msg_id", asked) != asked:
                continue
            if message["content"].get("execution_state") == "idle":
                return
            if message["msg_type"] not in ("status", "execute_input"):
                yield message, sum(map(len, frames))

    def _reply(self, asked: str) -> Any:
        while (reply := self._client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != asked:
            pass
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return ast.literal_eval(reply["content"]["user_expressions"]["found"]["data"]["text/plain"])


def merged(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of a stream into one output, as JupyterLab does."""
    joined: list[Any] = []
    for name, group in itertools.groupby(outputs, key=lambda output: output.get("name")):
        each = list(group)
        if name:
            each = [nbformat.v4.new_output("stream", name=name, text="".join(output.text for output in each))]
        joined += each
    return joined


def shown_text(outputs: list[Any], widgets: dict[str, Any]) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {})
        if view := data.get("application/vnd.jupyter.widget-view+json"):
            state = widgets.get(view["model_id"], {})
            yield state.get("value", "")
            yield from shown_text(state.get("outputs", []), widgets)
        else:
            tagged = html.unescape(re.sub("<[^>]+>", "", data.get("text/html", "")))
            yield output.get("text") or data.get("text/markdown") or tagged


def letters(text: str) -> str:
    """Return what must not be lost, whatever draws it: the letters and digits."""
    return re.sub(r"[\W_]", "", text)


def share(expected: str, shown: str) -> float:
    """Return how much of the expected letters stands there, from the first to where both differ; 1 is all, no more."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(expected, shown, strict=False))
    return 1.0 if shown == expected else min(0.999, len(list(same)) / len(expected))


def size_of(cell: Any) -> int:
    """Return the bytes that the outputs of a cell take in the saved notebook."""
    empty = nbformat.from_dict({**cell, "outputs": []})
    with_it, without = (nbformat.writes(nbformat.v4.new_notebook(cells=[each])) for each in (cell, empty))
    return len(with_it.encode()) - len(without.encode())


# The tables.


def runs(kernel: Kernel, counts: list[int]) -> Iterator[Row]:
    kernel.run("import display as bench; bench.count_sent()", "None")
    ways = [name for name in WAYS if importlib.util.find_spec(NEEDS.get(name, "sys"))]
    for name in ways:
        kernel.show(name, 10, 0.0)  # imports what it needs
    for pace, count in itertools.product((1 / PER_SECOND, 0.0), counts):
        yield from (kernel.show(name, count, pace) for name in ways)
        if not pace:
            yield kernel.replay(count)


def table(found: list[Row]) -> str:
    lines = []
    for (pace, count), group in itertools.groupby(found, key=lambda run: (run["pace"], run["chunks"])):
        by_name = {run["name"]: run for run in group}
        title = f"{count:,} chunks {f'at {1 / pace:.0f} a second' if pace else 'at full speed'}"
        lines += ["", f"{title:<38}{'messages':>9}{'bytes':>13}{'a chunk':>9}{'CPU ms':>8}{'s':>7}{'saved B':>9}  text"]
        names = [*WAYS, *([] if pace else [REPLAY])]
        lines += [line(name, by_name.get(name), by_name[RAW]["cpu"]) for name in names]
    return "\n".join(lines[1:])


def line(name: str, run: Row | None, raw: float) -> str:
    if not run:
        return f"{name:<38} not installed: pip install {NEEDS[name]}"
    cpu = run["cpu"] - (0 if name == RAW else raw)
    cells = f"{run['messages']:>9,}{run['bytes']:>13,}{run['bytes'] / run['chunks']:>9,.0f}{1e3 * cpu:>8,.0f}"
    return f"{name:<38}{cells}{run['seconds']:>7.2f}{run['saved_bytes']:>9,}  {told(run)}".rstrip()


def told(run: Row) -> str:
    """Say whether anything was lost, on the screen or in the file."""
    if run["name"] == RAW:
        return ""
    said = ["whole" if run["shown"] == 1 else f"only {run['shown']:.1%}"]
    said += ["not saved" if run["saved"] < run["shown"] else ""]
    said += [f"{run['sent'] - run['messages']:,} messages dropped" if run["sent"] > run["messages"] else ""]
    said += [f"given up at chunk {run['came']:,}" if run["came"] < run["chunks"] else ""]
    return ", ".join(filter(None, said))


def bars(found: list[Row]) -> Iterator[Row]:
    runs_of = {(run["name"], run["chunks"], bool(run["pace"])): run for run in found}
    counts = sorted({run["chunks"] for run in found})
    for count in counts:
        run = runs_of[REPLAY, count, False]
        note = f"in {1e3 * run['seconds']:.0f} ms"
        yield bar(f"messages of a replay at full speed, {count:,}", run["messages"], "", "<=", 1, note)
    raw, ours, update = (runs_of[name, counts[-1], True] for name in (RAW, OURS, UPDATE))
    for what, form, least in (("messages", ",", 40), ("bytes", ",", 50), ("cpu", ".2f", 20)):
        base = raw["cpu"] if what == "cpu" else 0
        many, few = update[what] - base, ours[what] - base
        times = many / few if few > 0 else math.inf
        note = f"{many:{form}} -> {few:{form}}{' s' if what == 'cpu' else ''}"
        name = f"update_display / chatkit.stream, {counts[-1]:,}: {what}"
        yield bar(name, round(times, 1), "x", ">=", least if counts[-1] == 10_000 else None, note)
    for name in [name for name in WAYS if name != RAW and (name, counts[0], True) in runs_of]:
        each = [runs_of[name, count, True]["bytes"] / count for count in counts]
        note = " -> ".join(f"{value:,.0f}" for value in each) + " B; 1 is linear, 10 quadratic"
        yield bar(
            f"bytes a chunk, {counts[-1]:,} / {counts[-2]:,}: {name}", round(each[-1] / each[-2], 2), "x", note=note
        )


def bar(name: str, value: float, unit: str, sign: str = "", limit: float | None = None, note: str = "") -> Row:
    met = limit is None or (value <= limit if sign == "<=" else value >= limit)
    return {"name": name, "value": value, "unit": unit, "bar": limit and f"{sign} {limit}", "met": met, "note": note}


def verdicts(rows: list[Row]) -> str:
    lines = [f"{'':<72} {'measured':>10}  {'bar':>12}"]
    for row in rows:
        verdict = f"{row['bar']} {'met' if row['met'] else 'MISSED'}" if row["bar"] else ""
        lines.append(f"{row['name']:<72} {row['value']:>8,} {row['unit']:<1}  {verdict:>12}  {row['note']}".rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--quick", action="store_true", help="at most 1,000 chunks: one minute instead of ten")
    options = parser.parse_args()
    with Kernel() as kernel:
        found = list(runs(kernel, [100, 1_000] if options.quick else [100, 1_000, 10_000]))
    rows = list(bars(found))
    packages = ", ".join(f"{name} {version(name)}" for name in ("ipykernel", "ipython", "openai"))
    machine = f"Python {platform.python_version()}, {packages}, {platform.system()} {platform.machine()}"
    print(f"{machine}\nCPU: of the kernel, above the loop alone; a real replay's holds the SDK's\n")
    print(f"{table(found)}\n\n{verdicts(rows)}")
    if options.json:
        options.json.write_text(
            json.dumps({"on": machine, "rows": rows, "runs": found}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
