"""The gateway, through the SDK: seats, budgets, limits, streams, and a key that is nowhere to be found."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from conftest import KEY, PATIENCE, PROJECT, Gateway, opened
from isolation import copy_lessons, environment
from openai_server import Reply, error_body

from chatkit import notebooks, recordings

LUNA = "gpt-6-luna"
CALL = Decimal("0.0000283")  # 18 tokens in, 53 out, as the server on loopback always says


def ask(client: openai.OpenAI, prompt: str = "안녕", **body: Any) -> Any:
    request = {"model": LUNA, "messages": [{"role": "user", "content": prompt}], **body}
    return client.chat.completions.create(**request)


@pytest.fixture(autouse=True)
def fresh_upstream(gateway: Gateway) -> Iterator[None]:
    gateway.upstream.answer = "안녕하세요, 반갑습니다."
    gateway.upstream.requests.clear()
    yield


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Gateway]:
    """A room where ten calls of a seat are paid, twenty-five of all."""
    with opened(tmp_path, count=5, budget=CALL * 10, room_budget=CALL * 25) as running:
        yield running


WIRE = {
    "a whole reply": {},
    "a stream": {"stream": True},
    "a stream with usage": {"stream": True, "stream_options": {"include_usage": True}},
}


@pytest.mark.parametrize("body", WIRE.values(), ids=WIRE)
def test_a_learner_gets_exactly_what_the_server_sends(gateway, body):
    direct = openai.OpenAI(base_url=gateway.upstream.base_url, api_key="sk-direct", max_retries=0)
    seen = [ask(client, **body) for client in (direct, gateway.client())]
    if body:
        seen = [[chunk.model_dump() for chunk in chunks] for chunks in seen]
    assert seen[0] == seen[1]


def test_an_error_of_the_server_arrives_as_it_is_and_costs_nothing(gateway):
    gateway.upstream.answer = Reply(
        status=400, message="Unsupported parameter: 'max_tokens'", headers={"x-request-id": "r1"}
    )
    with pytest.raises(openai.BadRequestError) as caught:
        ask(gateway.client(1), max_tokens=20)
    assert caught.value.message.endswith("Unsupported parameter: 'max_tokens'")
    assert caught.value.request_id == "r1"
    assert gateway.upstream.requests[-1].body["max_tokens"] == 20
    assert gateway.ledger.spent("seat-02") == 0


def test_the_provider_sees_the_rooms_key_and_never_a_seats(gateway):
    ask(gateway.client(2))
    assert gateway.upstream.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert gateway.seats[2].key not in json.dumps(gateway.upstream.requests[-1].headers)


@pytest.mark.parametrize("key", ["sk-seat01-aaaa-aaaa-aaaa-aaaa", "sk-proj-somebody", KEY])
def test_a_key_of_no_seat_is_refused_before_the_provider_hears_of_it(gateway, key):
    with pytest.raises(openai.AuthenticationError, match="자리 키가 맞지 않습니다"):
        ask(gateway.client().with_options(api_key=key))
    assert gateway.upstream.requests == []


def test_only_the_models_of_the_room_can_be_asked(gateway):
    with pytest.raises(openai.NotFoundError, match="쓸 수 있는 모델: gpt-6-luna"):
        ask(gateway.client(), model="gpt-6.2-sol")
    assert [model.id for model in gateway.client().models.list()] == [LUNA]
    assert gateway.upstream.requests == []


@pytest.mark.parametrize(
    ("asked", "sent"), [({}, 1000), ({"max_completion_tokens": 5_000}, 1000), ({"max_completion_tokens": 20}, 20)]
)
def test_no_answer_is_longer_than_the_room_allows(gateway, asked, sent):
    ask(gateway.client(), **asked)
    assert gateway.upstream.requests[-1].body["max_completion_tokens"] == sent


@pytest.mark.parametrize(
    "body",
    [{"stream_options": "usage"}, {"temperatur": 1}, {"temperature": "hot"}, {"messages": "안녕"}, {"messages": [1]}],
)
def test_nonsense_is_for_the_api_to_refuse(gateway, body):
    gateway.upstream.answer = Reply(status=400, message="Invalid type")
    with pytest.raises(openai.BadRequestError, match="Invalid type"):
        ask(gateway.client(), stream=True, extra_body=body)
    sent = gateway.upstream.requests[-1].body
    assert {name: sent[name] for name in body} == body


IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://a/"}}]}]
UNBOUNDED = [
    *({"n": each} for each in (40_000_000, 9, 0, -1, "128", 3.0, True, 10**30)),
    *({name: each} for name in ("max_tokens", "max_completion_tokens") for each in (1e6, "5000", True, 0, -5)),
    *({name: "on"} for name in ("service_tier", "web_search_options", "audio", "modalities", "prediction")),
    {"messages": IMAGE},
]


@pytest.mark.parametrize("body", UNBOUNDED, ids=lambda body: json.dumps(body)[:40])
def test_what_would_make_a_reply_cost_more_than_its_limit_is_refused_here(gateway, body):
    before = gateway.ledger.spent()
    with pytest.raises(openai.BadRequestError) as caught:
        ask(gateway.client(7), extra_body=body)
    assert caught.value.param == next(iter(body))
    assert gateway.upstream.requests == []
    assert gateway.ledger.spent() == before


def test_both_names_of_the_limit_are_kept_within_the_room(gateway):
    ask(gateway.client(), extra_body={"max_tokens": 10, "max_completion_tokens": 100_000})
    sent = gateway.upstream.requests[-1].body
    assert (sent["max_tokens"], sent["max_completion_tokens"]) == (10, 1000)


OTHER = {"model": "gpt-6.2-sol", "messages": [{"role": "user", "content": "안녕"}], "max_completion_tokens": 100_000}


@pytest.mark.parametrize(
    "body",
    [
        {"custom_body": OTHER},
        {"query_params": {"a": "b"}},
        {"metadata": {"lesson": "3"}},
        {"metadata": "text"},
        *({name: "x"} for name in ("api_base", "base_url", "langfuse_host", "user_config", "model_list")),
    ],
    ids=lambda body: next(iter(body)),
)
def test_no_field_is_an_order_to_the_proxy(gateway, body):
    ask(gateway.client(8), extra_body=body)
    request = gateway.upstream.requests[-1]
    assert request.body == {
        "model": LUNA,
        "messages": [{"role": "user", "content": "안녕"}],
        "max_completion_tokens": 1000,
        **body,
    }
    assert request.path.endswith("/v1/chat/completions")


def test_no_header_of_a_learner_reaches_the_provider(gateway):
    ask(
        gateway.client(),
        extra_headers={"x-pass-openai-project": "other", "openai-organization": "other", "cookie": "a=b"},
    )
    assert "other" not in json.dumps(gateway.upstream.requests[-1].headers)
    assert "cookie" not in gateway.upstream.requests[-1].headers


def test_a_form_is_read_as_the_json_that_was_checked(gateway):
    form = {"content-type": "application/x-www-form-urlencoded"}
    ask(gateway.client(), extra_headers=form, extra_body={"z": "&model=gpt-6.2-sol&"})
    assert gateway.upstream.requests[-1].body["model"] == LUNA


@pytest.mark.parametrize(
    "raw",
    ["[" * 100_000, '{"model": "gpt-6-luna", "messages": ' + "[" * 5_000, "x", "[]", '{"n": ' + "9" * 5_000 + "}"],
    ids=lambda raw: raw[:12],
)
def test_a_body_that_cannot_be_read_is_the_learners_error(gateway, raw):
    with pytest.raises(openai.BadRequestError, match="JSON 객체여야"):
        gateway.client().post("/chat/completions", cast_to=object, content=raw.encode())


@pytest.mark.parametrize(
    ("key", "refusal", "said"),
    [(None, openai.BadRequestError, "256,000바이트 이하"), ("sk-wrong", openai.AuthenticationError, "자리 키가 맞지")],
    ids=["a seat", "nobody"],
)
def test_a_huge_body_is_refused(gateway, key, refusal, said):
    client = gateway.client() if key is None else gateway.client().with_options(api_key=key)
    with pytest.raises(refusal, match=said):
        ask(client, "가" * 1_000_000)
    assert gateway.upstream.requests == []


def test_half_a_character_is_for_the_api_to_refuse(gateway):
    gateway.upstream.answer = Reply(status=400, message="Invalid body")
    raw = json.dumps({"model": LUNA, "messages": [{"role": "user", "content": "\ud800"}]}).encode()
    with pytest.raises(openai.BadRequestError, match="Invalid body"):
        gateway.client().post("/chat/completions", cast_to=object, content=raw)


def test_a_call_whose_reply_is_lost_stays_at_its_highest_price(gateway):
    gateway.upstream.answer = Reply(status=500, message="late")
    with pytest.raises(openai.InternalServerError):
        ask(gateway.client(9))
    assert gateway.ledger.spent("seat-10") > CALL * 10


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": None, "completion_tokens": 1}, {"prompt_tokens_details": [1]}, "much"]
)
def test_a_reply_with_an_odd_usage_still_arrives(gateway, usage):
    said = {"id": "x", "object": "chat.completion", "created": 1, "model": LUNA, "choices": []}
    whole = usage if isinstance(usage, str) else {"prompt_tokens": 1, "completion_tokens": 1, **usage}
    body = json.dumps({**said, "usage": whole}).encode()
    gateway.upstream.answer = Reply(status=200, body=body)
    assert gateway.client().post("/chat/completions", body={"model": LUNA}, cast_to=object)["id"] == "x"


@pytest.mark.parametrize(
    "path", ["/embeddings", "/../key/generate", "/../ui", "/../config/yaml", "/../openai/v1/files"]
)
def test_nothing_else_of_the_gateway_or_the_provider_is_reachable(gateway, path):
    with pytest.raises(openai.NotFoundError):
        gateway.client().post(path, body={}, cast_to=object)
    assert gateway.upstream.requests == []


def test_a_seat_is_stopped_at_the_first_call_after_its_budget(small):
    for _paid in range(10):
        ask(small.client(0))
    with pytest.raises(openai.RateLimitError, match="이 자리의 예산을 다 썼습니다") as caught:
        ask(small.client(0))
    assert caught.value.code == "insufficient_quota"
    assert small.ledger.spent("seat-01") == CALL * 10
    ask(small.client(1))


def test_the_sdk_does_not_wait_for_a_budget_to_fill(small):
    for _paid in range(10):
        ask(small.client(0))
    small.upstream.requests.clear()
    with pytest.raises(openai.RateLimitError):
        ask(small.client(0, max_retries=5))
    assert small.upstream.requests == []


def test_the_room_is_stopped_when_all_together_have_spent_its_budget(small):
    for number in range(25):
        ask(small.client(number // 10 + 1))
    with pytest.raises(openai.RateLimitError, match="방 전체의 예산을 다 썼습니다"):
        ask(small.client(0))


def test_streams_count_whether_their_usage_was_asked_for_or_not(small):
    for number in range(10):
        list(ask(small.client(0), stream=True, **({"stream_options": {"include_usage": True}} if number % 2 else {})))
    with pytest.raises(openai.RateLimitError):
        ask(small.client(0), stream=True)
    assert small.ledger.spent("seat-01") == CALL * 10


def test_calls_at_the_same_time_do_not_all_see_the_last_of_the_budget(small):
    held = threading.Event()
    small.upstream.answer = Reply(gate=held, gate_before=1)
    streams = []
    with pytest.raises(openai.RateLimitError):
        for _more in range(11):
            streams.append(ask(small.client(0), stream=True))
    held.set()
    assert 1 <= len(streams) < 10


def test_a_spent_budget_outlives_a_restart_and_a_power_cut(small):
    for _paid in range(10):
        ask(small.client(0))
    held = threading.Event()
    small.upstream.answer = Reply(gate=held, gate_before=1)
    next(iter(ask(small.client(1), stream=True)))
    small.kill()
    held.set()
    small.start()
    with pytest.raises(openai.RateLimitError, match="예산을 다 썼습니다"):
        ask(small.client(0))
    assert small.ledger.spent("seat-01") == CALL * 10
    assert small.ledger.spent("seat-02") > CALL, "a call whose end nobody saw stays at its highest price"


class Held(threading.Event):
    """An event that remembers whether the server waited for it or gave up."""

    released = False

    def wait(self, timeout: float | None = None) -> bool:
        self.released = super().wait(timeout)
        return self.released


def test_a_stream_arrives_piece_by_piece(gateway):
    held = Held()
    gateway.upstream.answer = Reply("하나 둘 셋", gate=held, gate_before=3)
    chunks = iter(ask(gateway.client(), stream=True))
    assert [next(chunks).choices[0].delta.content for _piece in range(3)] == ["", "하나 ", "둘 "]
    held.set()  # only now does the server send the rest
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["셋 ", None]
    assert held.released, "the pieces came only because the server stopped waiting"


def test_a_stream_that_the_learner_closes_is_counted(gateway):
    held = threading.Event()
    gateway.upstream.answer = Reply("하나 둘 셋", gate=held, gate_before=3)
    with ask(gateway.client(3), stream=True) as chunks:
        next(iter(chunks))
    held.set()
    ask(gateway.client(0))
    assert gateway.ledger.spent("seat-04") > CALL * 10, "the price of the longest answer, for its usage never came"


def test_a_stream_that_the_server_breaks_breaks_for_the_learner_too_and_is_counted(gateway):
    gateway.upstream.answer = Reply("하나 둘 셋", drop_after=3)
    kept = ""
    with pytest.raises(openai.APIError):
        for chunk in ask(gateway.client(4), stream=True):
            kept += chunk.choices[0].delta.content or ""
    assert kept == "하나 둘 "
    assert gateway.ledger.spent("seat-05") > CALL


def test_asking_too_often_says_when_to_ask_again(tmp_path):
    with opened(tmp_path, count=2, per_minute=3) as slow:
        for _allowed in range(3):
            ask(slow.client(0))
        with pytest.raises(openai.RateLimitError, match="1분에 3번까지") as caught:
            ask(slow.client(0))
        assert caught.value.code == "rate_limit_exceeded"
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
        assert slow.ledger.spent("seat-01") == CALL * 3
        ask(slow.client(1))


def test_thirty_learners_at_once_are_all_answered_and_all_counted(gateway):
    gateway.upstream.answer = lambda body: body["messages"][0]["content"] * 2
    before = gateway.ledger.spent()

    def learner(seat: int) -> str:
        chunks = ask(gateway.client(seat), f"나는 {seat}번", stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    with concurrent.futures.ThreadPoolExecutor(30) as room:
        said = list(room.map(learner, range(30), timeout=PATIENCE))
    assert said == [f"나는 {seat}번나는 {seat}번 " for seat in range(30)]
    assert gateway.ledger.spent() - before == CALL * 30


def test_the_rooms_key_is_in_no_answer_no_log_no_card_and_no_file(gateway):
    refusal = error_body(f"Incorrect API key provided: {KEY}.", code="invalid_api_key")
    answers = []
    for status in (401, 400, 500):
        gateway.upstream.answer = Reply(status=status, body=json.dumps(refusal).encode())
        with pytest.raises(openai.APIStatusError) as caught:
            ask(gateway.client())
        answers.append(caught.value.response.text + str(caught.value.response.headers))
        assert caught.value.code == "gateway_key_refused"
        assert caught.value.status_code == 503
    files = [path.read_bytes().decode(errors="replace") for path in gateway.folder.rglob("*") if path.is_file()]
    assert len(files) >= 4, "rules, cards, ledger and log"
    for text in [*answers, *files, *gateway.process.args]:
        assert KEY not in text
        assert KEY[:20] not in text


def test_the_rules_hold_no_key_that_works(gateway):
    rules = (gateway.folder / "room.json").read_text(encoding="utf-8")
    assert not any(seat.key in rules for seat in gateway.seats)


class Recorded:
    """Answers as a lesson's recordings do, take after take; the room's own limit on the answer is looked past."""

    def __init__(self, folder: Path) -> None:
        self._takes = {
            self._key(record["request"]["json"]): itertools.cycle(record["responses"])
            for record in recordings.load_folder(folder).records.values()
            if record["request"].get("json")
        }

    def __call__(self, body: dict[str, Any]) -> Reply:
        response = next(self._takes[self._key(body)])
        if "events" in response:
            return Reply(events=[event for _ms, event in response["events"]])
        content = json.dumps(response["json"], ensure_ascii=False).encode()
        headers = {name: value for name, value in response["headers"].items() if name != "content-type"}
        return Reply(status=response["status"], body=content, headers=headers)

    @staticmethod
    def _key(body: dict[str, Any]) -> str:
        ours = {"max_completion_tokens": 1000, "max_tokens": 1000}
        return json.dumps({name: value for name, value in body.items() if ours.get(name) != value}, sort_keys=True)


@pytest.mark.parametrize("lesson", ["02_chat_completions", "04_system_messages"])
def test_a_lesson_runs_live_through_the_gateway_as_it_stands(gateway, tmp_path, lesson):
    copied = copy_lessons(tmp_path / "lessons") / "notebooks" / f"{lesson}.ipynb"
    gateway.upstream.answer = Recorded(copied.parent / "recordings" / lesson)
    through = {"CHATKIT_MODE": "live", "OPENAI_BASE_URL": gateway.base_url, "OPENAI_API_KEY": gateway.seats[5].key}
    ran = notebooks.executed(copied, {**environment(tmp_path), **through}, with_variants=False)
    saved = notebooks.read(PROJECT / "notebooks" / f"{lesson}.ipynb")
    notebooks.text_of(ran)  # as the project saves it: without the views of widgets
    code = [[cell for cell in book.cells if cell.cell_type == "code"][1:] for book in (saved, ran)]
    for was, now in zip(*code, strict=True):
        assert now.outputs == was.outputs, now.source
    assert gateway.upstream.requests
