"""The recording file: what makes two requests the same, and what a file survives."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from learner import chat

from chatkit import ChatkitError, recordings
from chatkit.recordings import OPENAI_BASE, Record

SOURCE = {"kind": "authored", "by": "the tests", "recorded": "2026-11-22", "why": "a test"}
ANSWER = {"take": 1, "status": 200, "ms": 5, "headers": {}, "json": {"text": "반갑습니다."}}
OLD_KEY = "sk-proj-abcdefghijklmnop1234"

text = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["안녕하세요", "👩‍👩‍👧‍👦", "\ud800", "é"]
)  # a lone surrogate too
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def normal(content: Any, url: str = f"{OPENAI_BASE}/chat/completions", **options: Any) -> recordings.Request:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return recordings.normalise("POST", httpx2.URL(url), raw, bases=[OPENAI_BASE], **options)


def key(content: Any, **options: Any) -> str:
    return recordings.key_of(normal(content, **options))


def record(prompt: str = "안녕", *responses: Any, **body: Any) -> Record:
    return recordings.make(chat(prompt, **body), SOURCE, list(responses) or [ANSWER])


def turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: turned(item) for name, item in reversed(value.items())}
    return [turned(item) for item in value] if isinstance(value, list) else value


def in_form(value: Any, form: str) -> Any:
    if isinstance(value, dict):
        return {in_form(name, form): in_form(item, form) for name, item in value.items()}
    if isinstance(value, list):
        return [in_form(item, form) for item in value]
    return unicodedata.normalize(form, value) if isinstance(value, str) else value


# what makes two requests the same


@given(values)
def test_key_order_and_json_white_space_do_not_count(value: Any) -> None:
    loose = json.dumps(turned(value), indent=3, ensure_ascii=True)
    tight = json.dumps(value, separators=(",", ":"))
    assert key(loose.encode()) == key(tight.encode())


@given(values.filter(lambda value: in_form(value, "NFC") != in_form(value, "NFD")))
@example({"안녕": ["각", "é"]})
def test_the_unicode_form_does_not_count(value: Any) -> None:
    assert key(in_form(value, "NFC")) == key(in_form(value, "NFD"))


@given(st.integers(min_value=-(2**53), max_value=2**53))
def test_numbers_count_by_value(number: int) -> None:
    assert key({"n": number}) == key({"n": float(number)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"n": 0}, {"n": False}),
        ({"n": 1}, {"n": "1"}),
        ({"n": 1}, {"n": 1.5}),
        ({"n": None}, {}),
        ({"n": ""}, {"n": None}),
        ({"t": "안녕 "}, {"t": "안녕"}),
        ({"t": "a\nb"}, {"t": "a b"}),
        (["a", "b"], ["b", "a"]),
        ({}, []),
    ],
)
def test_what_differs_in_meaning_differs_in_key(one: Any, other: Any) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [("GET", "/chat/completions", {}), ("POST", "/models", {}), ("POST", "/chat/completions", {"foreign_key": True})],
)
def test_method_place_and_a_foreign_key_count(method: str, path: str, options: dict[str, Any]) -> None:
    body = json.dumps({"n": 1}).encode()
    other = recordings.normalise(method, httpx2.URL(OPENAI_BASE + path), body, bases=[OPENAI_BASE], **options)
    assert recordings.key_of(other) != key({"n": 1})


def test_a_request_keeps_its_text_as_sent() -> None:
    decomposed = unicodedata.normalize("NFD", "각")
    assert normal({"t": decomposed})["json"] == {"t": decomposed}


def test_a_long_data_url_counts_by_its_hash() -> None:
    data = "QUJD" * 300
    image = {"messages": [{"content": [{"image_url": {"url": f"data:image/png;base64,{data}"}}]}]}
    stored = normal(image)["json"]["messages"][0]["content"][0]["image_url"]["url"]
    assert stored == f"data:image/png;base64,sha256={hashlib.sha256(data.encode()).hexdigest()}"
    assert key(image) != key(json.loads(json.dumps(image).replace(data, data + "QUJD")))


@pytest.mark.parametrize("url", ["data:image/png;base64,QUJD", "https://example.org/" + "a" * 2_000])
def test_a_short_data_url_and_any_other_url_stay_as_they_are(url: str) -> None:
    assert normal({"url": url})["json"] == {"url": url}


@given(st.binary(max_size=200))
@example(b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\xff\xd8\r\n--x--\r\n')
@example(b"\xef\xbb\xbf{}")
@example(b"NaN")
@example(b"-Infinity")
@example(b'{"n": 1e999}')
@example(b'{"a": 1, "a": 2}')
def test_no_body_is_a_crash(content: bytes) -> None:
    assert len(key(content)) == 12


def test_no_depth_of_a_body_is_a_crash() -> None:
    for depth in [*range(380, 510), 100_000]:  # where Python's recursion limit begins to bite
        assert len(key(b"[" * depth + b"]" * depth)) == 12


def test_a_body_that_is_no_json_counts_by_length_and_hash() -> None:
    raw = b"\xff\xd8 picture"
    assert normal(raw)["body"] == {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    assert key(raw) != key(raw + b"!")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1/chat/completions", {"path": "/chat/completions"}),
        ("https://API.openai.com:443/v1/models?b=2&a=1", {"path": "/models?a=1&b=2"}),
        ("http://localhost:11434/openai/v1/models", {"path": "/models"}),
        ("http://localhost:11435/openai/v1/models", {"url": "localhost:11435/openai/v1/models"}),
        ("https://api.openai.com/v2/models", {"url": "api.openai.com/v2/models"}),
        (
            "https://weather.example/now?q=%EC%84%9C%EC%9A%B8&a=1",
            {"url": "weather.example/now?a=1&q=%EC%84%9C%EC%9A%B8"},
        ),
        ("https://weather.example/now?a=2&a=1", {"url": "weather.example/now?a=1&a=2"}),
    ],
)
def test_a_place_is_a_path_under_a_base_and_a_host_elsewhere(url: str, expected: dict[str, str]) -> None:
    assert recordings.place(httpx2.URL(url), [OPENAI_BASE, "http://localhost:11434/openai/v1/"]) == expected


# the file


@given(values)
def test_a_saved_record_is_read_back_as_it_was(value: Any) -> None:
    made = recordings.make({**chat("안녕"), "json": value}, SOURCE, [{**ANSWER, "json": value}])
    again = json.loads(recordings.dump(made).encode("utf-8"))
    assert again == made
    assert recordings.seal(again)["sha256"] == made["sha256"] == again["sha256"]


def test_save_and_load_are_each_others_inverse(tmp_path: Path) -> None:
    made = record("👋 안녕 \ud83d", stop="\u2028")
    assert recordings.load(recordings.save(tmp_path / "new" / "folder", made)) == made


def test_korean_and_emoji_stay_readable() -> None:
    assert '"content": "안녕 👋"' in recordings.dump(record("안녕 👋"))


def test_a_stream_has_one_event_a_line() -> None:
    events = [[10, {"choices": [{"delta": {"content": "가"}}]}], [20, "[DONE]"], [30, {"x": 1}, "named"]]
    lines = recordings.dump(record("안녕", {"status": 200, "ms": 1, "events": events})).splitlines()
    assert [json.loads(line.strip().rstrip(",")) for line in lines if line.strip().startswith("[")] == events


def test_the_file_ends_with_one_newline_and_has_no_others(tmp_path: Path) -> None:
    raw = recordings.save(tmp_path, record()).read_bytes()
    assert raw.endswith(b"}\n")
    assert b"\r" not in raw


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (chat("안녕"), "chat-completions-{key}.json"),
        (chat("안녕", stream=True), "chat-completions-stream-{key}.json"),
        ({"method": "GET", "path": "/models/gpt-6-luna?a=한글"}, "models-gpt-6-luna-{key}.json"),
        ({"method": "GET", "url": "weather.example:8080/v1/now?q=1"}, "weather-example-8080-v1-now-{key}.json"),
        ({"method": "GET", "url": "x.example/" + "a" * 300}, "x-example-" + "a" * 38 + "-{key}.json"),
        ({"method": "POST", "path": "/", "json": [1]}, "-{key}.json"),
    ],
)
def test_a_file_is_named_by_place_and_key(request_: recordings.Request, name: str) -> None:
    made = recordings.make(request_, SOURCE, [ANSWER])
    assert recordings.file_name(made) == name.format(key=made["key"])


def test_constructed_is_kept_and_otherwise_not_said() -> None:
    assert recordings.make(chat("안녕"), SOURCE, [ANSWER], constructed=True)["constructed"] is True
    assert "constructed" not in record()


# secrets

SECRETS = {
    "key": f"키는 {OLD_KEY} 입니다",
    "key at the start of a line": f"키:\n{OLD_KEY}",
    "key after a tab": f"키:\t{OLD_KEY}",
    "key after Korean": f"키는{OLD_KEY}",
    "key in quotes": f'"{OLD_KEY}"',
    "service account": "sk-svcacct-abc_DEF-0123456789",
    "bearer": "Authorization: Bearer abcdefghijkl.mnop",
    "organization": "org-AbCdEfGhIjKlMnOpQrSt",
    "project": "proj_AbCdEfGhIjKlMnOpQrSt",
    "own key": "my-own-secret-value",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ChatkitError, match="비밀로 보이는 값") as error:
        recordings.save(tmp_path / "lesson", record(secret), own_secrets=["my-own-secret-value"])
    assert not (tmp_path / "lesson").exists()
    assert OLD_KEY not in str(error.value)
    assert "my-own-secret-value" not in str(error.value)


@pytest.mark.parametrize(
    "leaking",
    [
        {**ANSWER, "json": {"text": OLD_KEY}},
        {**ANSWER, "headers": {"x-request-id": OLD_KEY}},
        {"status": 200, "events": [[1, {"choices": [{"delta": {"content": OLD_KEY}}]}]]},
    ],
    ids=["reply", "header", "stream"],
)
def test_a_reply_that_leaks_leaves_the_old_file_as_it_is(tmp_path: Path, leaking: recordings.Json) -> None:
    path = recordings.save(tmp_path / "lesson", record())
    before = path.read_bytes()
    with pytest.raises(ChatkitError, match="이전 기록은 그대로"):
        recordings.save(tmp_path / "lesson", record("안녕", leaking))
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == {path: before}


@pytest.mark.parametrize(
    "harmless",
    [
        "Bearer authentication is common. Bearer authentication.",
        "Incorrect API key provided: sk-...abc.",
        "Incorrect API key provided: sk-wrong**********3456.",
        "sk-short",
        "Bearer $OPENAI_API_KEY",
        "Authorization: Bearer …",
        "risk-assessment-and-control",
        "organization-wide",
        "chatkit-needs-no-key",
    ],
)
def test_masked_keys_and_plain_words_are_fine(tmp_path: Path, harmless: str) -> None:
    assert recordings.save(tmp_path, record(harmless)).exists()


def test_a_short_own_key_does_not_forbid_its_word(tmp_path: Path) -> None:
    assert recordings.save(tmp_path, record("ollama"), own_secrets=["ollama"]).exists()


# atomic


@pytest.mark.parametrize("step", ["replace", "fsync", "chmod"])
def test_a_disk_that_refuses_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = recordings.save(tmp_path, record())
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(ChatkitError, match="No space left on device"):
        recordings.save(tmp_path, record("안녕", {**ANSWER, "json": "새 답"}))
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.name != ".env"} == {path: before}


def test_an_interrupt_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recordings.save(tmp_path / "lesson", record())
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recordings.save(tmp_path / "lesson", record("안녕", {**ANSWER, "json": "새 답"}))
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == {path: before}


def test_a_folder_that_cannot_be_made_is_told_in_korean(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ChatkitError, match="저장하지 못했습니다"):
        recordings.save(tmp_path / "file" / "lesson", record())


# reading


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(recordings.Unreadable) as error:
        recordings.load(tmp_path / "none.json")
    assert error.value.code == "json"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "json"),
        (b"\xff\xfe{\x00}\x00", "json"),
        (b"[" * 100_000, "json"),
        (b"[]", "shape"),
        (b"null", "shape"),
        (b"{}", "shape"),
        (b'{"chatkit": "1"}', "shape"),
        (b'{"chatkit": 2}', "format"),
    ],
    ids=range(8),
)
def test_unreadable_files_say_what_is_wrong(tmp_path: Path, raw: bytes, code: str) -> None:
    (tmp_path / "a.json").write_bytes(raw)
    with pytest.raises(recordings.Unreadable) as error:
        recordings.load(tmp_path / "a.json")
    assert error.value.code == code


BROKEN = {
    "no key": lambda r: r.pop("key"),
    "source": lambda r: r.update(source="me"),
    "no kind": lambda r: r["source"].pop("kind"),
    "request": lambda r: r.update(request=[]),
    "no method": lambda r: r["request"].pop("method"),
    "no responses": lambda r: r.update(responses=[]),
    "response": lambda r: r.update(responses=["x"]),
    "no status": lambda r: r["responses"][0].pop("status"),
    "status": lambda r: r["responses"][0].update(status="200"),
    "fault": lambda r: r["responses"][0].update(fault="fire"),
    "headers": lambda r: r["responses"][0].update(headers="text/plain"),
    "header": lambda r: r["responses"][0].update(headers={"retry-after": 1}),
    "events": lambda r: r["responses"][0].update(events=None),
    "event": lambda r: r["responses"][0].update(events=[{}]),
    "event without data": lambda r: r["responses"][0].update(events=[[1]]),
    "event time": lambda r: r["responses"][0].update(events=[["1", {}]]),
    "event name": lambda r: r["responses"][0].update(events=[[1, {}, "a", "b"]]),
    "ms": lambda r: r["responses"][0].update(ms="1"),
    "no ms": lambda r: r["responses"][0].update(ms=None),
    "take": lambda r: r["responses"][0].update(take=[]),
    "cut": lambda r: r["responses"][0].update(events=[], cut="1"),
    "cut in the middle": lambda r: r["responses"][0].update(events=[], cut=1.5),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_recording_of_a_wrong_shape_is_set_aside_and_the_others_are_read(tmp_path: Path, damage: Any) -> None:
    good = record("안녕")
    recordings.save(tmp_path / "lesson", good)
    bad = json.loads(json.dumps(good))
    damage(bad)
    (tmp_path / "lesson" / "bad.json").write_text(json.dumps(bad), encoding="utf-8")
    folder = recordings.load_folder(tmp_path / "lesson")
    assert list(folder.records) == [good["key"]]
    assert {path.name: error.code for path, error in folder.broken.items()} == {"bad.json": "shape"}


def test_a_folder_knows_its_kinds_and_its_model(tmp_path: Path) -> None:
    for prompt, model in (("가", "a"), ("나", "b"), ("다", "b")):
        recordings.save(tmp_path, record(prompt, model=model))
    recordings.save(tmp_path, recordings.make({"method": "GET", "path": "/models"}, SOURCE, [ANSWER]))
    folder = recordings.load_folder(tmp_path)
    assert folder.model() == "b"
    assert folder.kinds() == ["authored"] * 4
    assert recordings.Folder(tmp_path).model() is None


# another model


def test_with_model_is_as_if_that_model_had_been_asked() -> None:
    events = [[1, {"model": "gpt-6-luna", "choices": []}], [2, "[DONE]"], [3, {"error": {}}, "error"]]
    made = record("안녕", {**ANSWER, "json": {"model": "gpt-6-luna"}}, {"take": 2, "status": 200, "events": events})
    changed = recordings.with_model(made, "gpt-6-sol")
    assert changed["request"] == chat("안녕", model="gpt-6-sol")
    assert changed["key"] == recordings.key_of(changed["request"]) != made["key"]
    assert changed == recordings.seal(changed)
    assert changed["responses"][0]["json"] == {"model": "gpt-6-sol"}
    assert changed["responses"][1]["events"] == [[1, {"model": "gpt-6-sol", "choices": []}], *events[1:]]
    assert made["responses"][0]["json"] == {"model": "gpt-6-luna"}


def test_with_model_keeps_the_mark_of_a_constructed_record() -> None:
    made = recordings.make(chat("안녕"), SOURCE, [{"fault": "timeout"}], constructed=True)
    assert recordings.with_model(made, "gpt-6-sol")["constructed"] is True


def test_with_model_changes_nothing_where_no_model_is_named() -> None:
    made = recordings.make({"method": "GET", "path": "/models"}, SOURCE, [{**ANSWER, "json": {"data": []}}])
    assert recordings.with_model(made, "gpt-6-sol") == made


# takes and texts


def test_takes_hold_their_attempts_in_order() -> None:
    one, two, three = {"status": 429, "take": 2}, {"status": 200}, {"status": 200, "take": 2}
    assert recordings.takes({"responses": [one, two, three]}) == [[two], [one, three]]


def test_the_text_of_a_stream_is_its_first_choices() -> None:
    def delta(text: str | None, index: int = 0) -> Any:
        return [1, {"choices": [{"index": index, "delta": {"content": text}}]}]

    events = [delta("가"), delta("x", 1), delta(None), [1, {"choices": []}], delta("나"), [1, "[DONE]"]]
    assert recordings.text_of(events) == "가나"
