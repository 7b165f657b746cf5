"""Scripted trouble as the SDK meets it: its own errors, its own retries, and the log of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
import openai
import pytest
from conftest import Lesson
from learner import LUNA, ask, ask_async, failure, stream, words
from openai_server import OpenAIServer, Reply

import chatkit
from chatkit import faults

PROMPT, ANSWER = "안녕", "반갑습니다."
STREAMED = "하나 둘 셋 넷 다섯 여섯"
STATUSES = {
    "400-context": (openai.BadRequestError, "context_length_exceeded", "invalid_request_error"),
    "401": (openai.AuthenticationError, "invalid_api_key", "invalid_request_error"),
    "403-region": (
        openai.PermissionDeniedError,
        "unsupported_country_region_territory",
        "request_forbidden",
    ),
    "403-model": (openai.PermissionDeniedError, "model_not_found", "invalid_request_error"),
    "404-retired": (openai.NotFoundError, "model_not_found", "invalid_request_error"),
    "404-typo": (openai.NotFoundError, "model_not_found", "invalid_request_error"),
    "429": (openai.RateLimitError, "rate_limit_exceeded", "tokens"),
    "429-credit": (openai.RateLimitError, "credit_balance_exhausted", "insufficient_quota"),
    "429-quota": (openai.RateLimitError, "insufficient_quota", "insufficient_quota"),
    "500": (openai.InternalServerError, None, "server_error"),
    "503": (openai.InternalServerError, "server_is_overloaded", "service_unavailable_error"),
    "409": (openai.ConflictError, None, None),
    "422": (openai.UnprocessableEntityError, None, None),
    "418": (openai.APIStatusError, None, None),
}


@pytest.fixture
def started(lesson: Lesson) -> Lesson:
    lesson.has(PROMPT, ANSWER)
    lesson.has(PROMPT, STREAMED, stream=True)
    lesson.start()
    return lesson


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note what the SDK would sleep, in seconds, in place of sleeping."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    return slept


def once(**options: Any) -> openai.OpenAI:
    return openai.OpenAI(**{"max_retries": 0, **options})


def outcomes(trouble: faults.Trouble) -> list[str]:
    return [attempt.outcome for attempt in trouble.attempts]


def nominal(trouble: faults.Trouble) -> list[float | None]:
    return [attempt.wait for attempt in trouble.attempts]


# what the SDK raises


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("body", [{}, {"stream": True}], ids=["whole", "streamed"])
def test_a_status_is_the_sdks_own_error_with_a_body_and_a_request_id(
    started: Lesson, name: str, body: dict[str, Any]
) -> None:
    kind, code, group = STATUSES[name]
    with faults.then_fine(name), pytest.raises(openai.APIStatusError) as error:
        ask(PROMPT, once(), **body)
    assert type(error.value) is kind
    assert (error.value.status_code, error.value.code, error.value.type) == (int(name[:3]), code, group)
    assert error.value.request_id == "req_example_1_1"
    assert list(error.value.body) == ["message", "type", "param", "code"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("404-typo", "The model `gpt-6-lunar` does not exist or you do not have access to it."),
        (
            "404-retired",
            "The model `gpt-6-lunar` has been deprecated, learn more here: "
            "https://platform.openai.com/docs/deprecations",
        ),
        ("403-model", "Project `proj_...` does not have access to model `gpt-6-lunar`"),
        ("403-region", "Country, region, or territory not supported"),
    ],
)
def test_a_message_names_the_model_that_was_asked(started: Lesson, name: str, message: str) -> None:
    with faults.always(name), pytest.raises(openai.APIStatusError) as error:
        ask(PROMPT, once(), model="gpt-6-lunar")
    assert error.value.body["message"] == message


def test_a_rate_limit_says_the_same_wait_everywhere(started: Lesson) -> None:
    with faults.always(faults.status(429, retry_after=20)), pytest.raises(openai.RateLimitError) as error:
        ask(PROMPT, once())
    headers = error.value.response.headers
    assert headers["retry-after"] == "20"
    assert "Limit 30000, Used 27094, Requested 12906. Please try again in 20s." in error.value.body["message"]
    assert 27_094 + 12_906 - 30_000 == 20 * 30_000 / 60
    left, limit = (int(headers[f"x-ratelimit-{name}-tokens"]) for name in ("remaining", "limit"))
    assert (left, limit) == (30_000 - 27_094, 30_000)


@pytest.mark.parametrize(
    ("name", "kind", "cause"),
    [
        ("timeout", openai.APITimeoutError, httpx2.ReadTimeout),
        ("refused", openai.APIConnectionError, httpx2.ConnectError),
        ("reset", openai.APIConnectionError, httpx2.ReadError),
    ],
)
def test_without_an_answer_the_sdk_raises_its_connection_errors(
    started: Lesson, name: str, kind: type[Exception], cause: type[Exception]
) -> None:
    with faults.always(name) as trouble, pytest.raises(openai.APIConnectionError) as error:
        ask(PROMPT, openai.OpenAI())
    assert type(error.value) is kind
    assert type(error.value.__cause__) is cause
    assert outcomes(trouble) == [name] * 3


def test_a_200_that_is_not_json_fails_where_it_is_read(started: Lesson) -> None:
    with faults.always("garbage"):
        with pytest.raises(json.JSONDecodeError):
            ask(PROMPT, once())
        with pytest.raises(json.JSONDecodeError):
            list(stream(PROMPT, once()))


def test_a_page_of_html_comes_back_as_a_string(started: Lesson) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    with faults.then_fine("html"):
        page = once().chat.completions.create(model=LUNA, messages=messages)
    assert isinstance(page, str) and page.startswith("<!doctype html>")


def test_faults_reach_the_async_client(started: Lesson) -> None:
    async def run() -> faults.Trouble:
        with faults.then_fine("429", "timeout") as trouble:
            async with openai.AsyncOpenAI() as client:
                assert await ask_async(PROMPT, client) == ANSWER
                with pytest.raises(openai.APITimeoutError), faults.always("timeout"):
                    await ask_async(PROMPT, client.with_options(max_retries=1))
        return trouble

    assert outcomes(asyncio.run(run())) == ["429", "timeout", "200"]


def test_faults_reach_whatever_httpx2_asks(started: Lesson) -> None:
    with faults.always("503", "timeout"):
        assert httpx2.get("https://weather.example/now").status_code == 503
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get("https://weather.example/now")


# streams


@pytest.mark.parametrize(("name", "kind"), [("cut", openai.APIConnectionError), ("error-event", openai.APIError)])
def test_a_stream_goes_wrong_half_way_and_is_not_retried(started: Lesson, name: str, kind: type[Exception]) -> None:
    came = []
    with faults.then_fine(name) as trouble:
        with pytest.raises(openai.APIError) as error:
            for chunk in stream(PROMPT, openai.OpenAI()):
                came += words([chunk])
        assert type(error.value) is kind
        assert "".join(words(stream(PROMPT, openai.OpenAI()))) == STREAMED
    assert STREAMED.startswith("".join(came)) and 1 < len(came) < 6
    assert outcomes(trouble) == [name, "200"]


def test_a_stream_may_end_without_a_word_about_it(started: Lesson) -> None:
    with faults.then_fine("no-done"):
        chunks = list(stream(PROMPT, once()))
    assert 1 < len(words(chunks)) < 6
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)


@pytest.mark.parametrize("name", ["cut", "error-event", "no-done"])
def test_the_async_client_gets_the_same_half(started: Lesson, name: str) -> None:
    async def read() -> list[str]:
        came = []
        messages = [{"role": "user", "content": PROMPT}]
        async with openai.AsyncOpenAI() as client:
            with contextlib.suppress(openai.APIError):
                async for chunk in await client.chat.completions.create(model=LUNA, messages=messages, stream=True):
                    came += words([chunk])
        return came

    with faults.always(name):
        assert asyncio.run(read()) == ["하나", " 둘", " 셋"]


@pytest.mark.parametrize("name", ["cut", "error-event", "no-done"])
def test_a_request_that_does_not_stream_cannot_be_cut(started: Lesson, name: str) -> None:
    with faults.always(name), pytest.raises(chatkit.ChatkitError, match=f"'{name}' 오류는 스트리밍 요청에만"):
        ask(PROMPT, openai.OpenAI())


# retries and their log


@pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 409, 418, 422, 429, 500, 502, 503, 504])
def test_the_sdk_itself_decides_what_it_retries(started: Lesson, code: int) -> None:
    with faults.always(faults.status(code)) as trouble, pytest.raises(openai.APIStatusError):
        ask(PROMPT, openai.OpenAI())
    assert len(trouble.attempts) == (3 if code in (408, 409, 429) or code >= 500 else 1)


def test_after_the_script_everything_is_normal_and_the_log_tells_it(started: Lesson) -> None:
    with faults.then_fine("429", "503") as trouble:
        assert ask(PROMPT, openai.OpenAI()) == ANSWER
        assert ask(PROMPT, openai.OpenAI()) == ANSWER
    first, second, third, again = trouble.attempts
    assert [(each.request, each.number) for each in trouble.attempts] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert outcomes(trouble) == ["429", "503", "200", "200"]
    assert nominal(trouble) == [2, 1, None, None]
    assert first.measured_wait > 0 and second.measured_wait > 0
    assert third.measured_wait is again.measured_wait is None


def test_waits_double_up_to_eight_seconds(started: Lesson) -> None:
    with faults.always("timeout") as trouble, pytest.raises(openai.APITimeoutError):
        ask(PROMPT, openai.OpenAI(max_retries=6))
    assert nominal(trouble) == [0.5, 1, 2, 4, 8, 8, None]


def test_nominal_waits_are_what_the_sdk_waits_but_for_its_random_quarter(started: Lesson, waits: list[float]) -> None:
    with faults.always("timeout") as trouble, pytest.raises(openai.APITimeoutError):
        ask(PROMPT, openai.OpenAI(max_retries=6))
    for wait, slept in zip(nominal(trouble), waits, strict=False):
        assert 0.75 * wait <= slept <= wait
    assert len(waits) == 6


@pytest.mark.parametrize(("retry_after", "wait"), [(0, 0.5), (0.25, 0.25), (7, 7), (120, 120)])
def test_the_sdk_waits_as_long_as_it_is_asked_to(
    started: Lesson, waits: list[float], retry_after: float, wait: float
) -> None:
    started.start(speed=1)
    with faults.then_fine(faults.status(503, retry_after=retry_after)) as trouble:
        ask(PROMPT, openai.OpenAI())
    assert nominal(trouble) == [wait, None]
    assert waits[0] == wait if retry_after else 0.75 * wait <= waits[0] <= wait


@pytest.mark.parametrize("speed", [0, 1, 2])
def test_a_wait_beyond_two_minutes_is_not_waited_for_at_any_speed(
    started: Lesson, waits: list[float], speed: float
) -> None:
    started.start(speed=speed)
    long = faults.status("429", retry_after=120.5)
    with faults.then_fine(long) as trouble, pytest.raises(openai.RateLimitError) as error:
        ask(PROMPT, openai.OpenAI())
    assert error.value.response.headers["retry-after"] == "120.5"
    assert (outcomes(trouble), nominal(trouble), waits) == (["429"], [None], [])


@pytest.mark.parametrize(("speed", "expected"), [(0, [0.001, 0.001]), (2, [1, 0.5]), (0.001, [120, 120])])
def test_another_speed_scales_the_waits_through_the_servers_own_header(
    started: Lesson, waits: list[float], speed: float, expected: list[float]
) -> None:
    started.start(speed=speed)
    with faults.then_fine("429", "503") as trouble:
        ask(PROMPT, openai.OpenAI())
    assert waits[:2] == pytest.approx(expected)
    assert nominal(trouble) == [2, 1, None]


def test_at_the_recorded_pace_no_header_shortens_a_wait(started: Lesson) -> None:
    started.start(speed=1)
    with faults.always("429"), pytest.raises(openai.RateLimitError) as error:
        ask(PROMPT, once())
    assert "retry-after-ms" not in error.value.response.headers


def test_the_clients_own_options_hold(started: Lesson) -> None:
    client = openai.OpenAI()
    with faults.always("timeout") as trouble:
        with pytest.raises(openai.APITimeoutError):
            ask(PROMPT, client.with_options(max_retries=1, timeout=1.5))
        with pytest.raises(openai.APITimeoutError):
            ask(PROMPT, client.with_options(max_retries=0, timeout=None))
    assert [(each.request, each.seconds) for each in trouble.attempts] == [(1, 1.5), (1, 1.5), (2, 0)]


def test_a_recorded_failure_within_a_script_is_logged_with_its_own_wait(lesson: Lesson) -> None:
    """The recording fails once by itself: the script must not shift which of its attempts is played."""
    whole = {**failure(200), "json": {"choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}}]}}
    lesson.plays(PROMPT, failure(500, retry_after="3"), whole)
    lesson.start()
    with faults.then_fine("503") as trouble:
        assert ask(PROMPT, openai.OpenAI()) == ANSWER
    assert (outcomes(trouble), nominal(trouble)) == (["503", "500", "200"], [0.5, 3, None])


# the picture


def test_a_script_shows_the_same_timeline_in_every_run(started: Lesson) -> None:
    shown = []
    for _run in range(2):
        with faults.then_fine("503", "timeout") as trouble:
            ask(PROMPT, openai.OpenAI(timeout=1))
        shown.append((repr(trouble), trouble._repr_mimebundle_(), repr(trouble.attempts)))
    assert shown[0] == shown[1]
    text, bundle, _log = shown[0]
    title, *table = text.splitlines()
    assert title == "만든 오류: 503 → timeout → 정상"
    assert "\n".join(table) == repr(trouble.table())
    assert len(table) == 4 and "0.50초" in table[1] and "1.00초" in table[2]
    assert "만든 오류" in bundle["text/plain"] and "만든 오류" in bundle["image/svg+xml"]


def test_requests_side_by_side_are_shown_one_after_the_other(started: Lesson) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(max_retries=1) as client:
            await asyncio.gather(*(ask_async(PROMPT, client) for _ in range(3)), return_exceptions=True)

    with faults.always("503") as trouble:
        asyncio.run(run())
    assert [re.search(r"\d+", line)[0] for line in repr(trouble.table()).splitlines()[1:]] == ["1", "2"] * 3


def test_trouble_without_an_end_is_shown_as_far_as_a_picture_goes(started: Lesson) -> None:
    with faults.always("500") as trouble, pytest.raises(openai.InternalServerError):
        ask(PROMPT, openai.OpenAI(max_retries=19))
    assert len(trouble.attempts) == 20
    assert repr(trouble).splitlines()[0] == "만든 오류: 500 (계속)"
    assert "처음 12번, 만든 오류: 500 (계속)" in trouble._repr_mimebundle_()["text/plain"]


def test_a_script_that_met_nothing_says_so(started: Lesson) -> None:
    with faults.then_fine("429") as trouble:
        pass
    assert "아직 보낸 요청이 없습니다" in repr(trouble)
    assert trouble._repr_mimebundle_() == {"text/plain": repr(trouble)}
    with pytest.raises(chatkit.ChatkitError, match="아직 보낸 요청이 없습니다"):
        trouble.table()


# scripts that cannot be


@pytest.mark.parametrize("script", [("bogus",), ("429", "4299"), (200,), (399,), (600,), (None,), (["429"],), (True,)])
def test_an_unknown_fault_names_those_there_are(started: Lesson, script: tuple[Any, ...]) -> None:
    for make in (faults.then_fine, faults.always):
        with pytest.raises(chatkit.ChatkitError, match="모르는 오류입니다") as error:
            make(*script)
        assert all(name in str(error.value) for name in faults.NAMES)


@pytest.mark.parametrize("code", [200, 600, "timeout", None])
def test_an_unknown_status_names_those_there_are(code: Any) -> None:
    with pytest.raises(chatkit.ChatkitError, match=r"쓸 수 있는 이름: 400-context, 401, .*503\."):
        faults.status(code)


@pytest.mark.parametrize("retry_after", [-1, float("nan"), float("inf"), "2", True])
def test_a_wait_is_a_number_from_zero(retry_after: Any) -> None:
    with pytest.raises(chatkit.ChatkitError, match="retry_after에는 0 이상의 숫자"):
        faults.status(429, retry_after=retry_after)


def test_an_empty_script_is_refused(started: Lesson) -> None:
    for make in (faults.then_fine, faults.always):
        with pytest.raises(chatkit.ChatkitError, match="하나 이상 적으세요"):
            make()


def test_every_name_makes_a_fault(started: Lesson) -> None:
    for name in faults.NAMES:
        with faults.then_fine(name) as trouble, contextlib.suppress(openai.OpenAIError, ValueError):
            list(stream(PROMPT, once()))
        assert outcomes(trouble) == [name]


def test_a_script_needs_a_session(lesson: Lesson) -> None:
    with pytest.raises(chatkit.ChatkitError, match=r"chatkit\.start\(…\)를 먼저 실행하세요"), faults.always("429"):
        pass
    with pytest.raises(chatkit.ChatkitError):
        lesson.start(mode="replya")
    with pytest.raises(chatkit.ChatkitError, match="replya"), faults.always("429"):
        pass


# where a script begins and ends


def test_leaving_ends_the_script_also_by_an_exception(started: Lesson) -> None:
    with pytest.raises(openai.InternalServerError), faults.always("500"):
        ask(PROMPT, once())
    assert ask(PROMPT, once()) == ANSWER
    with faults.then_fine("500", "500") as trouble, contextlib.suppress(openai.InternalServerError):
        ask(PROMPT, once())
    assert ask(PROMPT, once()) == ANSWER
    assert outcomes(trouble) == ["500"]


def test_of_two_scripts_the_inner_one_is_met(started: Lesson) -> None:
    with faults.always("500") as outer:
        with faults.then_fine("409") as inner:
            assert ask(PROMPT, openai.OpenAI()) == ANSWER
        with pytest.raises(openai.InternalServerError):
            ask(PROMPT, once())
    assert (outcomes(inner), outcomes(outer)) == (["409", "200"], ["500"])


def test_each_of_several_tasks_meets_its_own_script(started: Lesson) -> None:
    async def one(name: str, client: openai.AsyncOpenAI) -> list[str]:
        with faults.then_fine(name) as trouble:
            await asyncio.sleep(0)
            await ask_async(PROMPT, client)
            await asyncio.sleep(0)
        return outcomes(trouble)

    async def run() -> list[list[str]]:
        async with openai.AsyncOpenAI() as client:
            return await asyncio.gather(one("429", client), one("503", client), one("409", client))

    assert asyncio.run(run()) == [["429", "200"], ["503", "200"], ["409", "200"]]
    assert ask(PROMPT, once()) == ANSWER


def test_threads_meet_the_script_around_them(started: Lesson) -> None:
    with faults.then_fine(*["503"] * 8) as trouble, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(PROMPT, openai.OpenAI(max_retries=8)), range(8))) == {ANSWER}
    assert sorted(outcomes(trouble)) == ["200"] * 8 + ["503"] * 8
    assert {each.request for each in trouble.attempts} == set(range(1, 9))


def test_a_script_ends_with_its_session(started: Lesson) -> None:
    with faults.always("500"):
        chatkit.stop()
        started.start()
        assert ask(PROMPT, once()) == ANSWER
        with faults.always("503"), pytest.raises(openai.InternalServerError):
            ask(PROMPT, once())
    assert ask(PROMPT, once()) == ANSWER


def test_a_request_without_a_recording_is_still_missing_after_the_script(started: Lesson) -> None:
    with faults.then_fine("503") as trouble, pytest.raises(chatkit.MissingRecording):
        ask("다른 질문", openai.OpenAI())
    assert outcomes(trouble) == ["503", "MissingRecording"]


def test_trouble_does_not_use_up_a_take(lesson: Lesson) -> None:
    lesson.has("주사위", "1", "2", "3")
    lesson.start()
    assert ask("주사위") == "1"
    with faults.then_fine("503", "timeout"):
        assert [ask("주사위", openai.OpenAI()), ask("주사위", openai.OpenAI())] == ["2", "3"]


# live and record


def test_in_live_mode_a_fault_is_not_sent(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.folder.mkdir(exist_ok=True)
    lesson.start(mode="live")
    with faults.then_fine("429", "timeout") as trouble:
        ask(PROMPT, openai.OpenAI())
    assert outcomes(trouble) == ["429", "timeout", "200"]
    assert len(live.requests) == 1
    chatkit.stop()
    ask(PROMPT, once())
    assert len(live.requests) == 2


def test_trouble_costs_nothing(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("CHATKIT_BUDGET", "0")
    lesson.start(mode="auto")
    with faults.then_fine("429", "503") as trouble, pytest.raises(chatkit.BudgetExceeded, match=r"쓴 추정액: USD 0\.0"):
        ask(PROMPT, openai.OpenAI())
    assert outcomes(trouble) == ["429", "503", "BudgetExceeded"]


@pytest.mark.parametrize("mode", ["live", "record"])
def test_a_live_stream_is_cut_for_the_caller_alone(lesson: Lesson, live: OpenAIServer, mode: str) -> None:
    live.answer = STREAMED
    lesson.start(mode=mode)
    with faults.then_fine("cut"), pytest.raises(openai.APIConnectionError):
        came = []
        for chunk in stream(PROMPT, openai.OpenAI()):
            came += words([chunk])
    assert 1 < len(came) < 6 and len(live.requests) == 1
    assert [reply["text"] for record in lesson.saved().records.values() for reply in record["responses"]] == (
        [STREAMED + " "] if mode == "record" else []
    )


def test_a_live_stream_is_cut_for_the_async_client_too(lesson: Lesson, live: OpenAIServer) -> None:
    live.answer = STREAMED
    lesson.start(mode="live")

    async def read() -> list[str]:
        messages = [{"role": "user", "content": PROMPT}]
        async with openai.AsyncOpenAI() as client:
            opened = await client.chat.completions.create(model=LUNA, messages=messages, stream=True)
            return words([chunk async for chunk in opened])

    with faults.then_fine("no-done"):
        assert 1 < len(asyncio.run(read())) < 6


def test_an_error_of_the_live_api_is_not_spoilt(lesson: Lesson, live: OpenAIServer) -> None:
    live.answer = Reply(status=404, message="없습니다.")
    lesson.start(mode="live")
    with faults.then_fine("cut"), pytest.raises(openai.NotFoundError, match=r"없습니다\."):
        stream(PROMPT, openai.OpenAI())


def test_nothing_of_a_script_is_recorded(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.start(mode="record")
    with faults.always("401", "garbage", "html"):
        for _ in range(3):
            with contextlib.suppress(openai.OpenAIError, ValueError, AttributeError):
                ask(PROMPT, once())
    assert (live.requests, lesson.files()) == ([], {})
    with faults.then_fine("429"):
        ask(PROMPT, openai.OpenAI())
    (record,) = lesson.saved().records.values()
    assert [(reply["take"], reply["status"]) for reply in record["responses"]] == [(1, 200)]
