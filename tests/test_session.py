"""start and stop through the public door: modes, settings, keys, takes, live calls."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import nbformat
import openai
import pytest
from conftest import Lesson
from learner import LUNA, ask, ask_async, chat, failure, stream, words
from nbclient import NotebookClient
from openai_server import OpenAIServer, Reply

import chatkit
from chatkit import recordings

WEATHER = {"ms": 1, "headers": {"content-type": "application/json"}}


def dotenv(text: str | bytes) -> None:
    Path(".env").write_bytes(text if isinstance(text, bytes) else text.encode())


def counting(**options: Any) -> tuple[openai.OpenAI, list[httpx2.Request]]:
    """Return a client and the list of the requests that it makes."""
    made: list[httpx2.Request] = []
    return openai.OpenAI(
        http_client=openai.DefaultHttpx2Client(event_hooks={"request": [made.append]}), **options
    ), made


# start, stop, modes


def test_start_returns_none_so_that_a_cell_may_end_on_it(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    assert chatkit.start(lesson.name, speed=0, folder=lesson.root) is None


def test_replay_is_the_default_and_needs_no_key(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    assert ask("안녕") == "반갑습니다."
    assert capsys.readouterr().out == (
        "01_test: 예시 응답 1건으로 실행합니다. 네트워크로는 아무것도 보내지 않습니다.\n"
    )


def test_the_banner_tells_authored_from_recorded(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    record = lesson.has("안녕", "반갑습니다.")
    spoken = recordings.make(chat("누구?"), {"kind": "api", "by": "api.openai.com"}, record["responses"])
    recordings.save(lesson.folder, spoken)
    lesson.start()
    assert "예시 응답 1건, 녹화 1건으로" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["argument", "environment", "dotenv"])
def test_an_unknown_mode_names_the_four(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "environment":
        monkeypatch.setenv("CHATKIT_MODE", "replya")
    if where == "dotenv":
        dotenv("CHATKIT_MODE=replya")
    with pytest.raises(chatkit.ChatkitError, match=r"replay, auto, live, record.*'replya'"):
        lesson.start(mode="replya" if where == "argument" else None)


def test_after_a_failed_start_nothing_is_sent_until_one_succeeds(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner reads past the error of the first cell, and has a key in the environment."""
    lesson.has("안녕", "반갑습니다.")
    with pytest.raises(chatkit.ChatkitError):
        lesson.start(mode="replya")
    with pytest.raises(chatkit.ChatkitError, match="replya"):
        ask("안녕")
    with pytest.raises(chatkit.NetworkBlocked):
        socket.create_connection(("203.0.113.7", 80), timeout=1)
    assert live.requests == []
    lesson.start(mode="replay")
    assert ask("안녕") == "반갑습니다."
    with pytest.raises(chatkit.ChatkitError):
        lesson.start(speed=-1)
    chatkit.stop()
    assert ask("안녕") == "안녕하세요, 반갑습니다."


@pytest.mark.parametrize("mode", ["live", "record"])
def test_modes_that_only_send_ask_for_a_key(lesson: Lesson, mode: str) -> None:
    with pytest.raises(chatkit.ChatkitError, match=f"{mode} 모드에는 API 키가 필요"):
        lesson.start(mode=mode)


def test_the_second_start_replaces_the_first(lesson: Lesson) -> None:
    lesson.has("안녕", "하나")
    other = Lesson(lesson.root.parent / "elsewhere")
    other.has("안녕", "둘")
    lesson.start()
    other.start()
    assert ask("안녕") == "둘"
    chatkit.stop()
    assert "OPENAI_API_KEY" not in os.environ


def test_stop_without_start_does_nothing() -> None:
    seam = httpx2.HTTPTransport.handle_request
    chatkit.stop()
    chatkit.stop()
    assert httpx2.HTTPTransport.handle_request is seam


def test_stop_puts_both_seams_back(lesson: Lesson) -> None:
    before = httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request
    lesson.start()
    assert httpx2.HTTPTransport.handle_request is not before[0]
    assert httpx2.AsyncHTTPTransport.handle_async_request is not before[1]
    chatkit.stop()
    assert (httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request) == before


def test_a_client_made_before_start_is_answered_too(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    client = openai.OpenAI(api_key=chatkit.session.PLACEHOLDER_KEY, max_retries=0)
    lesson.start()
    assert ask("안녕", client) == "반갑습니다."


def test_stop_works_though_ipython_came_up_after_start(lesson: Lesson, request: pytest.FixtureRequest) -> None:
    lesson.start()
    request.getfixturevalue("shell")
    chatkit.stop()
    assert "OPENAI_API_KEY" not in os.environ


# environment


def test_the_placeholder_key_comes_and_goes(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    lesson.start()
    assert os.environ["OPENAI_API_KEY"] == chatkit.session.PLACEHOLDER_KEY
    chatkit.stop()
    assert os.environ["OPENAI_API_KEY"] == "sk-mine"


def test_stop_leaves_a_key_that_the_learner_has_changed(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    lesson.start()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-new")
    chatkit.stop()
    assert os.environ["OPENAI_API_KEY"] == "sk-new"


def test_the_model_is_the_recordings(lesson: Lesson) -> None:
    lesson.has("안녕", "하나", model="gpt-6-sol")
    lesson.has("또", "둘", model="gpt-6-sol")
    lesson.has("누구?", "셋", model="gpt-6.1-terra")
    lesson.start()
    assert os.environ["OPENAI_MODEL"] == "gpt-6-sol"
    chatkit.stop()
    assert "OPENAI_MODEL" not in os.environ


def test_without_recordings_the_model_is_the_courses(lesson: Lesson) -> None:
    lesson.start()
    assert os.environ["OPENAI_MODEL"] == chatkit.models.default()


def test_replay_names_the_model_that_it_sets_aside(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.has("안녕", "하나")
    monkeypatch.setenv("OPENAI_MODEL", "gpt-6-sol")
    lesson.start()
    assert os.environ["OPENAI_MODEL"] == LUNA
    assert f"OPENAI_MODEL=gpt-6-sol 대신, 기록에 쓰인 {LUNA} 모델로" in capsys.readouterr().out
    chatkit.stop()
    assert os.environ["OPENAI_MODEL"] == "gpt-6-sol"


def test_the_banner_does_not_name_a_model_that_is_the_recordings(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.has("안녕", "하나")
    monkeypatch.setenv("OPENAI_MODEL", LUNA)
    lesson.start()
    assert "OPENAI_MODEL" not in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["auto", "live", "record"])
def test_modes_that_send_keep_the_learners_model(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("OPENAI_MODEL", "gpt-6-sol")
    lesson.has("안녕", "하나")
    lesson.start(mode=mode)
    assert os.environ["OPENAI_MODEL"] == "gpt-6-sol"


@pytest.mark.parametrize(("mode", "used"), [("auto", "gpt-6-sol"), ("live", LUNA), ("record", LUNA)])
def test_auto_takes_the_recordings_model_and_the_others_the_courses(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, mode: str, used: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    lesson.has("안녕", "하나", model="gpt-6-sol")
    lesson.start(mode=mode)
    assert os.environ["OPENAI_MODEL"] == used


def test_dotenv_gives_what_the_environment_has_not(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "gpt-6-sol")
    monkeypatch.delenv("LESSON_CITY", raising=False)
    dotenv("OPENAI_API_KEY=sk-mine\nOPENAI_MODEL=gpt-4o-mini\nCHATKIT_MODE=live\nLESSON_CITY=서울\n")
    lesson.start()
    seen = {name: os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_MODEL", "LESSON_CITY")}
    chatkit.stop()
    assert seen == {"OPENAI_API_KEY": "sk-mine", "OPENAI_MODEL": "gpt-6-sol", "LESSON_CITY": "서울"}
    assert "LESSON_CITY" not in os.environ
    assert "OPENAI_API_KEY" not in os.environ


def test_replay_never_puts_the_key_of_dotenv_into_the_environment(lesson: Lesson) -> None:
    dotenv("OPENAI_API_KEY=sk-mine\nOPENAI_BASE_URL=http://127.0.0.1:9/v1\n")
    lesson.start()
    assert os.environ["OPENAI_API_KEY"] == chatkit.session.PLACEHOLDER_KEY
    assert "OPENAI_BASE_URL" not in os.environ


def test_dotenv_is_found_above_the_notebook(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv("CHATKIT_MODE=nonsense")
    below = Path("a") / "한글 폴더"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    with pytest.raises(chatkit.ChatkitError, match="nonsense"):
        lesson.start()


def test_a_dotenv_without_permission_is_named_and_left_unread(lesson: Lesson, monkeypatch, capsys) -> None:
    def refuse(_path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dotenv.dotenv_values", refuse)
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    assert ".env: 읽지 못했습니다(Permission denied)" in capsys.readouterr().out
    assert ask("안녕") == "반갑습니다."


def test_a_utf_16_dotenv_is_named_and_left_unread(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.has("안녕", "반갑습니다.")
    dotenv("CHATKIT_MODE=live\n".encode("utf-16"))
    lesson.start()
    assert ".env: UTF-8 텍스트가 아니라서" in capsys.readouterr().out
    assert ask("안녕") == "반갑습니다."


def test_a_byte_order_mark_does_not_hide_the_first_line_of_dotenv(lesson: Lesson) -> None:
    dotenv("CHATKIT_MODE=nonsense\n".encode("utf-8-sig"))
    with pytest.raises(chatkit.ChatkitError, match="nonsense"):
        lesson.start()


@pytest.mark.parametrize("mode", ["replay", "auto"])
@pytest.mark.parametrize(
    "text",
    [
        b"just words\n=\n\x00\n'A=B'=c\nOPENAI_MODEL",
        "CITY=\ub300\uad6c\n".encode("utf-16-le"),
        b"CITY=a\x00b\n",
        b"'A=B'=c\n",
        b"",
    ],
    ids=["junk", "utf-16 without mark", "nul in a value", "equals sign in a name", "empty"],
)
def test_a_hostile_dotenv_does_not_stop_a_lesson(lesson: Lesson, mode: str, text: bytes) -> None:
    lesson.has("안녕", "반갑습니다.")
    dotenv(text)
    lesson.start(mode=mode)
    assert ask("안녕") == "반갑습니다."


@pytest.mark.parametrize("speed", ["fast", "-1", "nan", "inf"])
def test_a_bad_speed_is_refused(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, speed: str) -> None:
    monkeypatch.setenv("CHATKIT_SPEED", speed)
    with pytest.raises(chatkit.ChatkitError, match=f"CHATKIT_SPEED.*{speed}"):
        lesson.start(speed=None)


@pytest.mark.parametrize("speed", [-1, float("nan"), "fast", [1]])
def test_a_bad_speed_argument_is_refused(lesson: Lesson, speed: Any) -> None:
    with pytest.raises(chatkit.ChatkitError, match="CHATKIT_SPEED"):
        lesson.start(speed=speed)


@pytest.mark.parametrize("budget", ["much", "-1", "NaN", "sNaN", "Infinity"])
def test_a_bad_budget_is_refused(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, budget: str) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", budget)
    with pytest.raises(chatkit.ChatkitError, match=f"CHATKIT_BUDGET.*{budget}"):
        lesson.start()


# where recordings are found


def put(root: Path, reply: str) -> None:
    Lesson(root).has("안녕", reply)


def test_recordings_are_looked_for_in_four_places_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "given", "folder=")
    put(tmp_path / "named", "CHATKIT_RECORDINGS")
    put(tmp_path / "recordings", "above")
    put(tmp_path / "lessons" / "recordings", "beside")
    (tmp_path / "lessons" / "deep").mkdir()
    monkeypatch.setenv("CHATKIT_RECORDINGS", str(tmp_path / "named"))

    def found(**options: Any) -> str:
        chatkit.start(Lesson.name, speed=0, **options)
        return ask("안녕")

    assert found(folder=tmp_path / "given") == "folder="
    assert found() == "CHATKIT_RECORDINGS"
    monkeypatch.delenv("CHATKIT_RECORDINGS")
    monkeypatch.chdir(tmp_path / "lessons")
    assert found() == "beside"
    monkeypatch.chdir(tmp_path / "lessons" / "deep")
    assert found() == "beside"
    monkeypatch.chdir(tmp_path / "given")
    assert found() == "above"


def test_the_packages_own_copy_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "package" / "lessons", "package")
    monkeypatch.setattr(chatkit.session, "__file__", str(tmp_path / "package" / "session.py"))
    chatkit.start(Lesson.name, speed=0)
    assert ask("안녕") == "package"


def test_a_lesson_that_is_not_there_names_the_nearest_first(tmp_path: Path) -> None:
    for name in ("01_setup", "02_chat_completions", "03_streaming", ".ipynb_checkpoints"):
        (tmp_path / "recordings" / name).mkdir(parents=True)
    with pytest.raises(chatkit.ChatkitError, match="있는 강의: 02_chat_completions") as error:
        chatkit.start("02_chat_completion")
    assert "01_setup" in str(error.value)
    assert ".ipynb_checkpoints" not in str(error.value)


@pytest.mark.parametrize("name", ["", "../recordings/01_test", "01_test/", "no such lesson"])
def test_a_name_that_is_no_lessons_folder_is_refused(lesson: Lesson, name: str) -> None:
    with pytest.raises(chatkit.ChatkitError, match="기록 폴더를 찾지 못했습니다"):
        chatkit.start(name, folder=lesson.root)


def test_recording_needs_a_lessons_name(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with pytest.raises(chatkit.ChatkitError, match="기록 폴더를 찾지 못했습니다"):
        chatkit.start("", folder=lesson.root, mode="record")


def test_a_broken_recording_is_named_and_the_rest_runs(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.has("안녕", "반갑습니다.")
    (lesson.folder / "broken.json").write_text("{", encoding="utf-8")
    lesson.start()
    assert "broken.json: 이 기록은 읽지 못해 건너뜁니다(json)" in capsys.readouterr().out
    assert ask("안녕") == "반갑습니다."
    with pytest.raises(chatkit.MissingRecording, match=r"읽지 못한 기록이 1개 있습니다: broken\.json"):
        ask("누구?")


def test_lessons_work_below_a_folder_with_a_korean_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "한글 폴더"
    put(home / "recordings", "반갑습니다.")
    monkeypatch.chdir(home)
    chatkit.start(Lesson.name, speed=0)
    assert ask("안녕") == "반갑습니다."


# keys


def test_a_key_of_another_replays_its_401(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.holds({**chat("안녕"), "foreign_key": True}, failure(401, "invalid_api_key", "Incorrect API key provided"))
    lesson.start()
    assert ask("안녕") == "반갑습니다."
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided") as error:
        ask("안녕", openai.OpenAI(api_key="sk-wrong"))
    assert error.value.code == "invalid_api_key"


def test_a_key_of_another_does_not_get_the_own_keys_answer(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    with pytest.raises(chatkit.MissingRecording, match="다른 API 키를 씀"):
        ask("안녕", openai.OpenAI(api_key="sk-wrong"))


@pytest.mark.parametrize("key", ["sk-environment", "sk-dotenv", "chatkit-needs-no-key", "sk-typed-in-later"])
def test_the_sessions_own_keys_are_not_foreign(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    dotenv("OPENAI_API_KEY=sk-dotenv")
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-typed-in-later")
    assert ask("안녕", openai.OpenAI(api_key=key)) == "반갑습니다."


# both clients, other places


def test_the_async_client_is_answered(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    assert asyncio.run(ask_async("안녕")) == "반갑습니다."


def test_the_async_client_streams(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다, 여러분.", stream=True)
    lesson.start()

    async def pieces() -> str:
        async with openai.AsyncOpenAI() as client:
            opened = await client.chat.completions.create(
                model=LUNA, messages=[{"role": "user", "content": "안녕"}], stream=True
            )
            return "".join(words([chunk async for chunk in opened]))

    assert asyncio.run(pieces()) == "반갑습니다, 여러분."


def test_other_hosts_are_told_apart_by_host_path_and_sorted_query(lesson: Lesson) -> None:
    for host, temperature in (("weather.one", 1), ("weather.two", 2)):
        request = {"method": "GET", "url": f"{host}/v1/now?city=Seoul&unit=C"}
        lesson.holds(request, {"status": 200, **WEATHER, "json": {"temperature": temperature}})
    lesson.start()
    assert httpx2.get("https://weather.one/v1/now?unit=C&city=Seoul").json() == {"temperature": 1}
    assert httpx2.get("https://weather.two/v1/now", params={"city": "Seoul", "unit": "C"}).json() == {"temperature": 2}
    with pytest.raises(chatkit.MissingRecording):
        httpx2.get("https://weather.two/v1/now?city=Busan&unit=C")


def test_a_recording_is_found_whatever_the_base_url(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson.has("안녕", "반갑습니다.")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1/")
    lesson.start()
    assert ask("안녕") == "반갑습니다."
    assert ask("안녕", openai.OpenAI(base_url="https://api.openai.com/v1")) == "반갑습니다."


def test_a_base_url_that_only_begins_alike_is_another_place(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    with pytest.raises(chatkit.MissingRecording):
        ask("안녕", openai.OpenAI(base_url="https://api.openai.com/v10"))


# takes


def test_equal_requests_go_through_the_takes_and_begin_again(lesson: Lesson) -> None:
    lesson.has("주사위", "1", "2", "3")
    lesson.start()
    assert [ask("주사위") for _ in range(5)] == ["1", "2", "3", "1", "2"]


def test_each_request_counts_its_own_takes(lesson: Lesson) -> None:
    lesson.has("주사위", "1", "2")
    lesson.has("동전", "앞", "뒤")
    lesson.start()
    assert [ask("주사위"), ask("동전"), ask("주사위"), ask("동전")] == ["1", "앞", "2", "뒤"]


def test_a_new_start_begins_with_the_first_take(lesson: Lesson) -> None:
    lesson.has("주사위", "1", "2")
    lesson.start()
    ask("주사위")
    lesson.start()
    assert ask("주사위") == "1"


@pytest.fixture
def shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = Config({"HistoryManager": {"enabled": False}})
    before = {name: getattr(builtins, name, None) for name in ("display", "get_ipython")}
    yield InteractiveShell.instance(config=quiet)
    InteractiveShell.clear_instance()
    for name, value in before.items():
        vars(builtins).pop(name, None) if value is None else setattr(builtins, name, value)


def test_each_cell_begins_with_the_first_take(lesson: Lesson, shell: Any) -> None:
    lesson.has("주사위", "1", "2", "3")
    lesson.start()
    shell.user_ns["ask"] = ask
    cell = "rolled = ask('주사위'), ask('주사위')"
    for _run in range(2):
        shell.run_cell(cell).raise_error()
        assert shell.user_ns["rolled"] == ("1", "2")


def test_after_stop_cells_run_without_chatkit(lesson: Lesson, shell: Any) -> None:
    before = list(shell.events.callbacks["pre_run_cell"])
    lesson.start()
    assert shell.events.callbacks["pre_run_cell"] != before
    chatkit.stop()
    assert shell.events.callbacks["pre_run_cell"] == before


def test_a_notebooks_cell_gives_the_same_takes_at_each_run(lesson: Lesson) -> None:
    lesson.has("주사위", "1", "2", "3")
    setup = f"import chatkit, httpx2\nchatkit.start({lesson.name!r}, speed=0)"
    roll = (
        f"body = {chat('주사위')['json']!r}\n"
        "def roll():\n"
        "    reply = httpx2.post('https://api.openai.com/v1/chat/completions', json=body).json()\n"
        "    return reply['choices'][0]['message']['content']\n"
        "print(roll(), roll())"
    )
    cells = [nbformat.v4.new_code_cell(source) for source in (setup, roll, roll)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, coalesce_streams=True, resources={"metadata": {"path": str(lesson.root.parent)}}).execute()
    assert [cell.outputs[0].text for cell in notebook.cells[1:]] == ["1 2\n", "1 2\n"]


# retries


def trouble(take: int) -> dict[str, Any]:
    return {"take": take, **failure(429, "rate_limit_exceeded", retry_after_ms="1")}


def answer(take: int, text: str) -> dict[str, Any]:
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": LUNA}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"take": take, "status": 200, "ms": 1, "headers": {}, "json": {**body, "choices": [choice]}}


def test_the_sdk_itself_retries_a_recorded_429(lesson: Lesson) -> None:
    lesson.plays("안녕", trouble(1), answer(1, "반갑습니다."))
    lesson.start()
    client, made = counting()
    assert ask("안녕", client) == "반갑습니다."
    assert [request.headers["x-stainless-retry-count"] for request in made] == ["0", "1"]


def test_without_retries_a_recorded_429_is_the_answer(lesson: Lesson) -> None:
    lesson.plays("안녕", trouble(1), answer(1, "반갑습니다."))
    lesson.start()
    for _again in range(2):
        with pytest.raises(openai.RateLimitError):
            ask("안녕", openai.OpenAI(max_retries=0))


def test_more_retries_than_recorded_repeat_the_last_attempt(lesson: Lesson) -> None:
    lesson.plays("안녕", trouble(1))
    lesson.start()
    client, made = counting(max_retries=3)
    with pytest.raises(openai.RateLimitError):
        ask("안녕", client)
    assert len(made) == 4


def test_retries_do_not_use_up_the_next_take(lesson: Lesson) -> None:
    lesson.plays("안녕", trouble(1), answer(1, "하나"), trouble(2), answer(2, "둘"))
    lesson.start()
    client = openai.OpenAI(max_retries=2)
    assert [ask("안녕", client) for _ in range(3)] == ["하나", "둘", "하나"]


TEXTS = [f"답 {number}" for number in range(1, 9)]


def many(lesson: Lesson) -> None:
    lesson.plays("안녕", *(part for n, text in enumerate(TEXTS, 1) for part in (trouble(n), answer(n, text))))
    lesson.start()


def test_concurrent_equal_requests_keep_to_their_takes(lesson: Lesson) -> None:
    many(lesson)

    async def together() -> list[str]:
        async with openai.AsyncOpenAI(max_retries=2) as client:
            return await asyncio.gather(*(ask_async("안녕", client) for _ in TEXTS))

    assert asyncio.run(together()) == TEXTS


def test_equal_requests_of_several_threads_keep_to_their_takes(lesson: Lesson) -> None:
    many(lesson)
    client = openai.OpenAI(max_retries=2)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: ask("안녕", client), TEXTS)) == TEXTS


# misses


def test_a_missing_recording_is_no_openai_error_and_is_not_retried(lesson: Lesson) -> None:
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    client, made = counting(max_retries=5)
    with pytest.raises(chatkit.MissingRecording) as error:
        ask("누구?", client)
    assert not isinstance(error.value, openai.OpenAIError)
    assert error.value.__cause__ is None
    assert len(made) == 1


def test_a_missing_recording_is_not_retried_by_the_async_client(lesson: Lesson) -> None:
    lesson.start()
    made = []

    async def note(request: httpx2.Request) -> None:
        made.append(request)

    async def miss() -> None:
        http = openai.DefaultAsyncHttpx2Client(event_hooks={"request": [note]})
        async with openai.AsyncOpenAI(max_retries=5, http_client=http) as client:
            await ask_async("누구?", client)

    with pytest.raises(chatkit.MissingRecording):
        asyncio.run(miss())
    assert len(made) == 1


@pytest.mark.parametrize("opened", [False, True])
def test_any_other_exception_of_the_seam_stays_what_it_is(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    lesson.start()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(chatkit.session.Session, "plan", broken)
    client, made = counting(max_retries=5)
    with pytest.raises(ZeroDivisionError):
        stream("안녕", client) if opened else ask("안녕", client)
    assert len(made) == 1


def test_a_miss_is_shown_without_the_sdks_frames(lesson: Lesson) -> None:
    lesson.start()
    with pytest.raises(chatkit.MissingRecording) as error:
        ask("누구?")
    assert error.value._render_traceback_() == [f"MissingRecording: {error.value}"]


def test_the_miss_log_holds_the_request(lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_MISS_LOG", str(tmp_path / "miss.json"))
    lesson.start()
    with pytest.raises(chatkit.MissingRecording):
        ask("누구?")
    assert json.loads((tmp_path / "miss.json").read_text(encoding="utf-8")) == chat("누구?")


def test_replay_sends_nothing_even_with_a_key_and_a_server(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.start()
    with pytest.raises(chatkit.MissingRecording):
        ask("안녕")
    assert live.requests == []


# live, auto


def test_live_leaves_the_sdk_alone(lesson: Lesson, live: OpenAIServer) -> None:
    seam = httpx2.HTTPTransport.handle_request
    lesson.has("안녕", "녹음된 답")
    lesson.start(mode="live")
    assert httpx2.HTTPTransport.handle_request is seam
    assert ask("안녕") == live.answer
    assert live.requests[0].headers["authorization"] == "Bearer loopback-key"


def test_auto_plays_what_it_has_and_sends_what_it_has_not(
    lesson: Lesson, live: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.has("안녕", "녹음된 답")
    lesson.start(mode="auto")
    assert ask("안녕") == "녹음된 답"
    assert "실시간 호출" not in capsys.readouterr().out
    assert live.requests == []
    assert ask("누구?") == live.answer
    assert (
        capsys.readouterr().out
        == "실시간 호출: /chat/completions (예상 비용 USD 0, 내 컴퓨터의 서버, 지금까지 USD 0, 내 컴퓨터의 서버)\n"
    )
    assert [request.body["messages"][0]["content"] for request in live.requests] == ["누구?"]
    assert list(lesson.saved().records) == [recordings.key_of(chat("안녕"))]


@pytest.mark.usefixtures("live")
def test_auto_streams_live(lesson: Lesson) -> None:
    lesson.start(mode="auto")
    assert words(stream("누구?", openai.OpenAI())) == ["안녕하세요, ", "반갑습니다. "]


def test_auto_without_a_key_plays_and_misses_but_sends_nothing(
    lesson: Lesson, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    lesson.has("안녕", "녹음된 답")
    lesson.start(mode="auto")
    assert ask("안녕") == "녹음된 답"
    with pytest.raises(chatkit.MissingRecording):
        ask("누구?")
    assert server.requests == []


@pytest.mark.usefixtures("live")
def test_auto_lets_the_real_server_refuse_a_wrong_key(lesson: Lesson) -> None:
    lesson.start(mode="auto")
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-wrong"):
        ask("안녕", openai.OpenAI(api_key="sk-wrong-1"))
    with pytest.raises(openai.BadRequestError, match="gpt-none"):
        ask("안녕", model="gpt-none")


def test_auto_passes_a_dropped_connection_on(lesson: Lesson, live: OpenAIServer) -> None:
    live.answer = Reply("하나 둘 셋", drop_after=2)
    lesson.start(mode="auto")
    with pytest.raises(openai.APIConnectionError):
        list(stream("안녕", openai.OpenAI(max_retries=0)))


# budget


@pytest.fixture
def priced(live: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """The loopback server, taken for one that costs money."""
    monkeypatch.setattr("chatkit.budget.is_loopback", lambda _host: False)
    return live


@pytest.mark.parametrize("mode", ["auto", "live", "record"])
def test_the_budget_stops_before_the_call(
    lesson: Lesson, priced: OpenAIServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", "0.00001")
    lesson.start(mode=mode)
    client, made = counting(max_retries=5)
    with pytest.raises(chatkit.BudgetExceeded, match=r"CHATKIT_BUDGET: USD 0\.00001, .* USD 0\.000000"):
        ask("안녕", client)
    assert priced.requests == []
    assert len(made) == 1


def test_the_budget_books_what_a_call_really_used(
    lesson: Lesson, priced: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two calls expected at 0.0005 do not fit, but each really costs 0.0000283.
    monkeypatch.setenv("CHATKIT_BUDGET", "0.0006")
    lesson.start(mode="auto")
    ask("안녕")
    ask("누구?")
    with pytest.raises(chatkit.BudgetExceeded, match=r"USD 0\.000057"):
        ask("길게", max_completion_tokens=2_000)
    assert len(priced.requests) == 2


def test_a_stream_is_booked_too(lesson: Lesson, priced: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", "0.0006")
    lesson.start(mode="live")
    list(stream("안녕", openai.OpenAI(), stream_options={"include_usage": True}))
    assert ask("누구?") == priced.answer


def test_with_a_budget_an_unknown_price_is_refused(
    lesson: Lesson, priced: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", "5")
    lesson.start(mode="auto")
    with pytest.raises(chatkit.BudgetExceeded, match="예상 비용: 알 수 없음"):
        ask("안녕", model="a-model-of-mine")
    assert priced.requests == []


def test_a_server_on_this_machine_costs_nothing(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", "0")
    lesson.start(mode="auto")
    assert ask("안녕", model="a-model-of-mine") == live.answer


def test_recordings_cost_no_budget(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_BUDGET", "0")
    lesson.has("안녕", "반갑습니다.")
    lesson.start()
    assert ask("안녕") == "반갑습니다."


# usage log


def test_the_usage_log_names_each_recording_asked_for(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [lesson.has("안녕", "하나"), lesson.has("누구?", "둘")]
    lesson.has("아무도 안 물음", "셋")
    log = tmp_path / "log"
    log.mkdir()
    monkeypatch.setenv("CHATKIT_USAGE_LOG", str(log))
    lesson.start()
    ask("안녕")
    ask("누구?")
    text = (log / f"{os.getpid()}.txt").read_text(encoding="utf-8")
    assert text.splitlines() == [f"01_test/{record['key']}" for record in asked]
