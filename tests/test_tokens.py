"""Counting and pricing without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from chatkit import tokens

SENTENCES = ["", "안녕하세요, 반갑습니다.", "👩‍👩‍👧‍👦 가족", "def f(x):\n    return x", "<|endoftext|>"]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_count_is_tiktokens(text: str) -> None:
    assert tokens.count(text) == len(tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=()))


def test_a_message_of_eleven_tokens_is_a_prompt_of_eighteen() -> None:
    text = "one two three four five six seven eight nine ten eleven"
    assert tokens.count(text) == 11
    assert tokens.count_messages([{"role": "user", "content": text}]) == 18


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], 3),
        ([{"role": "user", "content": "one two"}], 3 + 3 + 1 + 2),
        ([{"role": "user", "content": "one two", "name": "three"}], 3 + 3 + 1 + 2 + 1 + 1),
        ([{"role": "user", "content": None}], 3 + 3 + 1),
        ([{"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "image_url"}]}], 3 + 3 + 1 + 2),
        ([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}], 3 + 2 * (3 + 1 + 1)),
    ],
)
def test_messages_are_counted_by_the_published_formula(messages: list[dict[str, object]], expected: int) -> None:
    assert tokens.count_messages(messages) == expected


@given(st.text() | st.sampled_from(SENTENCES))
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    pieces = tokens.split(text)
    assert "".join(pieces) == text
    assert len(pieces) <= tokens.count(text)
    assert all(pieces)


def test_the_price_of_the_first_call() -> None:
    assert tokens.price("gpt-6-luna", 18, 53) == Decimal("0.0000283")


def test_cached_tokens_are_cheaper() -> None:
    assert tokens.price("gpt-6-luna", 1_000, 0, 1_000) == Decimal("0.00001")


def test_an_unknown_model_has_no_price() -> None:
    assert tokens.price("a-model-of-mine", 18, 53) is None


OFFLINE = """
from chatkit import network, tokens
network.block()
print(tokens.count("안녕하세요"), tokens.price("gpt-6-luna", 18, 53))
"""


@pytest.mark.parametrize("cache", ["", "empty"], ids=["none", "empty folder"])
def test_counting_works_offline_with_nothing_cached(tmp_path: Path, cache: str) -> None:
    environment = {
        **os.environ,
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path)),
        "TIKTOKEN_CACHE_DIR": cache and str(tmp_path / cache),
        "DATA_GYM_CACHE_DIR": "",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    result = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True)
    assert result.stdout == f"{tokens.count('안녕하세요')} 0.0000283\n", result.stderr.splitlines()[-1:]


def test_a_damaged_copy_of_the_vocabulary_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tokens._vocabulary()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert tokens._vocabulary() == folder
    assert [path.read_bytes() for path in folder.iterdir()] == [whole]
