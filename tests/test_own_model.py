"""The page on a model of one's own does what it says, against a server on loopback."""

from __future__ import annotations

import os
import re
from pathlib import Path

import openai
import pytest
from isolation import PROJECT
from learner import ask
from openai_server import OpenAIServer, Reply

import chatkit

PAGE = (PROJECT / "notebooks" / "own_model.md").read_text(encoding="utf-8")
LESSONS = PROJECT / "notebooks" / "recordings"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


def settle(text: str, server: OpenAIServer, **changes: str) -> None:
    """Write a block of the page into `.env`, with what the page asks a reader to fill in."""
    values = dict(line.split("=", 1) for line in text.split())
    values |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-of-the-test", **changes}
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")


def test_auto_plays_what_is_recorded_and_announces_what_it_sends(server: OpenAIServer, capsys) -> None:
    settle(blocks("dotenv")[0], server)
    chatkit.start("01_setup", folder=LESSONS, speed=0)
    greeting = ask("한국어로 인사를 한 문장만 해 주세요.", reasoning_effort="none")
    assert greeting == "안녕하세요, 만나서 반갑습니다!"
    assert server.requests == []
    assert ask("기록에 없는 질문", reasoning_effort="none") == "안녕하세요, 반갑습니다."
    said = capsys.readouterr().out.splitlines()[-1]
    announced = blocks("text")[0].split(" (")[0]
    assert said.startswith(announced)
    assert len(server.requests) == 1


def test_the_budget_stops_before_it_is_passed(server: OpenAIServer, monkeypatch) -> None:
    settle(blocks("dotenv")[0], server, CHATKIT_BUDGET="0.0001")
    # A server on loopback is free; the page's budget is for the API.
    monkeypatch.setattr("chatkit.budget.is_loopback", lambda _host: False)
    chatkit.start("01_setup", folder=LESSONS, speed=0)
    with pytest.raises(chatkit.BudgetExceeded, match="CHATKIT_BUDGET"):
        ask("기록에 없는 질문")
    assert server.requests == []


def test_a_server_of_ones_own_answers_every_cell(server: OpenAIServer) -> None:
    settle(blocks("dotenv")[1], server, OPENAI_MODEL="own-model")
    chatkit.start("01_setup", folder=LESSONS)
    assert ask("한국어로 인사를 한 문장만 해 주세요.", model=os.environ["OPENAI_MODEL"]) == "안녕하세요, 반갑습니다."
    (request,) = server.requests
    assert request.body["model"] == "own-model"


def test_the_way_around_a_refused_reasoning_effort_works(server: OpenAIServer, capsys) -> None:
    def old_server(body):
        if "reasoning_effort" in body:
            return Reply(status=400, message="Unrecognized request argument supplied: reasoning_effort")
        return "반갑습니다."

    server.answer = old_server
    settle(blocks("dotenv")[1], server)
    chatkit.start("01_setup", folder=LESSONS)
    names: dict = {}
    exec(blocks("python")[0], names)
    assert names["completion"].choices[0].message.content == "반갑습니다."
    assert "reasoning_effort" in capsys.readouterr().out


def test_recording_ones_own_answers_makes_them_replay(server: OpenAIServer, tmp_path: Path) -> None:
    settle(blocks("dotenv")[1], server, CHATKIT_MODE="record")
    (tmp_path / "recordings").mkdir()
    chatkit.start("01_setup", folder=tmp_path / "recordings")
    ask("내 질문")
    chatkit.start("01_setup", folder=tmp_path / "recordings", mode="replay")
    assert ask("내 질문") == "안녕하세요, 반갑습니다."
    assert len(server.requests) == 1
    assert "sk-of-the-test" not in "".join(p.read_text("utf-8") for p in tmp_path.rglob("*.json"))


def test_the_sdk_takes_no_empty_key_as_the_page_says() -> None:
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI(api_key="")


def test_every_command_and_setting_of_the_page_exists() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"CHATKIT_\w+", PAGE)) <= set(re.findall(r"CHATKIT_\w+", readme))
