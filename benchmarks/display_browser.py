"""Measure how far behind a stream a real browser is: `python benchmarks/display_browser.py [--quick] [--json FILE]`.

JupyterLab shows streams of 10,000 chunks, a character each. The kernel notes when each one came, the page at each of
its frames how many it shows. Behind means: how old the oldest character was that a frame was the first to show.
Nothing else should be running.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import Lab, open_lab  # noqa: E402

SETUP = """
import asyncio, json, time
import chatkit
from IPython.display import Markdown, display
from openai.types.chat import ChatCompletionChunk

def chunk(text, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    fields = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna", "choices": [choice]}
    return ChatCompletionChunk.construct(**fields)

def pieces(count):
    # Paragraphs of 49 syllables, each with its break.
    for number in range(count):
        yield "가나다라마바사아자차"[number % 10] + "\\n\\n" * (number % 50 == 49)

def paced(count, rate):
    start = time.perf_counter()
    for number, piece in enumerate(pieces(count)):
        time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        came.append(time.time())
        yield chunk(piece)
    yield chunk("", "stop")

async def paced_async(count, rate):
    start = time.perf_counter()
    for number, piece in enumerate(pieces(count)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        came.append(time.time())
        yield chunk(piece)
    yield chunk("", "stop")

def every_chunk(chunks):
    handle, text = display(Markdown(""), display_id=True), ""
    for each in chunks:
        text += each.choices[0].delta.content
        handle.update(Markdown(text))
"""
WAYS = {
    "chatkit.stream": "chatkit.stream(paced({count}, {rate}))",
    "await chatkit.stream": "await chatkit.stream(paced_async({count}, {rate}))",
    "update_display per chunk": "every_chunk(paced({count}, {rate}))",
}
SHOWN = "(cell.outputArea.node.textContent.match(/[가-차]/g)?.length ?? 0)"
WATCH = f"""id => {{
    %s
    window.seen = [];
    const look = () => {{
        if ({SHOWN} > (window.seen.at(-1)?.[1] ?? 0)) window.seen.push([Date.now() / 1_000, {SHOWN}]);
        if (!window.seen.over) requestAnimationFrame(look);
    }};
    look();
}}"""


def measure(lab: Lab, way: str, count: int, rate: int) -> dict[str, Any]:
    run = f"came = []\n_ = {WAYS[way].format(count=count, rate=rate)}\nwith open('came.json', 'w') as file:\n"
    cell = lab.start(f"{run}    json.dump(came, file)")
    lab.evaluate(WATCH, cell)
    lab.wait_until_done(cell)
    lab.wait(f"([id, count]) => {{ %s return {SHOWN} >= count }}", [cell, count])
    seen = lab.evaluate("() => { window.seen.over = true; return [...window.seen] }")
    came = json.loads((lab.folder / "came.json").read_text(encoding="utf-8"))
    before = [0, *(shown for _moment, shown in seen)]
    behind = [moment - came[number] for (moment, _shown), number in zip(seen, before, strict=False)]
    return {
        "way": way,
        "chunks": count,
        "per second": rate,
        "seconds": round(came[-1] - came[0], 1),
        "frames": len(seen),
        "behind, median": round(statistics.median(behind), 3),
        "95 %": round(statistics.quantiles(behind, n=20)[-1], 3),
        "worst": round(max(behind), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 chunks, not 10,000")
    parser.add_argument("--json", type=Path, help="keep the figures")
    arguments = parser.parse_args()
    count = 2_000 if arguments.quick else 10_000
    runs = [("chatkit.stream", count, 1_000), ("await chatkit.stream", count, 1_000), ("chatkit.stream", count, 200)]
    runs += [("update_display per chunk", 2_000, 1_000)]
    rows = []
    with tempfile.TemporaryDirectory() as folder, open_lab(Path(folder)) as lab:
        lab.run(SETUP)
        measure(lab, "chatkit.stream", 200, 400)  # the page loads what renders Markdown with the first frame
        for run in runs:
            rows.append(measure(lab, *run))
            print("  ".join(f"{name}: {value}" for name, value in rows[-1].items()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
