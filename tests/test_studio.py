"""`chatkit author`: replies written by hand for a lesson that has no recordings; `chatkit verify` on a project."""

from __future__ import annotations

import io
import json
import shutil

import nbformat
import pytest
from isolation import PROJECT
from learner import chat
from openai_server import Reply

from chatkit import authored, notebooks, recordings
from chatkit.cli import main

SETUP = 'import os, chatkit\nchatkit.start("01_small")\nMODEL = os.environ["OPENAI_MODEL"]'
ASK = (
    "from openai import OpenAI\n"
    'messages = [{"role": "user", "content": "안녕"}]\n'
    "OpenAI().chat.completions.create(model=MODEL, messages=messages).choices[0].message.content"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "recordings").mkdir(parents=True)
    (tmp_path / "solutions").mkdir()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(SETUP), nbformat.v4.new_code_cell(ASK)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    )
    notebook.cells[1].metadata["chatkit"] = {"variants": [{"replace": "안녕", "with": "잘 가"}]}
    nbformat.write(notebook, tmp_path / "notebooks" / "01_small.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_lesson_is_given_its_replies_by_hand(project, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("안녕하세요.\n.\n안녕히 가세요.\n.\n"))
    assert main(["author", "01"]) == 0
    asked = capsys.readouterr().out
    assert asked.index("안녕") < asked.index("잘 가")

    written = [json.loads(path.read_text("utf-8")) for path in project.glob("notebooks/recordings/01_small/*.json")]
    assert {record["source"]["kind"] for record in written} == {"authored"}
    cells = notebooks.read(project / "notebooks" / "01_small.ipynb").cells
    assert "예시 응답 2건" in cells[0].outputs[0].text
    assert cells[1].outputs[0].data["text/plain"] == "'안녕하세요.'"
    assert main(["verify"]) == 0


def test_an_input_that_ends_too_early_writes_nothing(project, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("안녕하세요."))
    assert main(["author", "01"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not list(project.glob("notebooks/recordings/*/*.json"))


@pytest.fixture
def recorded(project):
    """The project with its one request recorded and no change on offer."""
    path = project / "notebooks" / "01_small.ipynb"
    notebook = notebooks.read(path)
    notebook.cells[1].metadata = {}
    nbformat.write(notebook, path)
    (project / ".env.example").write_text("OPENAI_API_KEY=\nOPENAI_MODEL=gpt-6-luna\n", encoding="utf-8")
    record = authored.record(chat("안녕"), ["안녕하세요."], by="the tests", why="a test")
    recordings.save(project / "notebooks" / "recordings" / "01_small", record)
    return project


def files(project):
    return {path.name: path.read_bytes() for path in project.glob("notebooks/recordings/01_small/*")}


def test_the_series_moves_to_another_model_and_back_without_a_trace(recorded, capsys):
    before = files(recorded)
    assert main(["models", "use", "gpt-5.4-mini"]) == 0
    (moved,) = map(json.loads, files(recorded).values())
    assert moved["request"]["json"]["model"] == moved["responses"][0]["json"]["model"] == "gpt-5.4-mini"
    assert "OPENAI_MODEL=gpt-5.4-mini" in (recorded / ".env.example").read_text("utf-8")
    assert "removed  chat-completions-" in capsys.readouterr().out

    assert main(["models", "use", "gpt-6-luna"]) == 0
    assert files(recorded) == before
    cells = notebooks.read(recorded / "notebooks" / "01_small.ipynb").cells
    assert cells[1].outputs[0].data["text/plain"] == "'안녕하세요.'"


@pytest.mark.parametrize("command", [["models", "use", "gpt-5.4-mini"], ["record", "01", "--yes"]])
def test_progress_on_all_lessons_is_the_same_after_a_run_that_makes_recordings(recorded, live, command):
    for lesson in ("01_small", "02_other"):
        exercises = recorded / "notebooks" / "recordings" / lesson / "exercises"
        shutil.copytree(PROJECT / "notebooks" / "recordings" / "01_setup" / "exercises", exercises)
    path = recorded / "notebooks" / "01_small.ipynb"
    notebook = notebooks.read(path)
    notebook.cells.append(nbformat.v4.new_code_cell("chatkit.progress()", execution_count=3))
    nbformat.write(notebook, path)
    assert main(command) == 0
    assert "02_other" in notebooks.read(path).cells[-1].outputs[0].data["text/plain"]


def test_after_a_move_every_passage_on_the_old_model_and_its_prices_is_listed(recorded, capsys):
    path = recorded / "notebooks" / "01_small.ipynb"
    notebook = notebooks.read(path)
    texts = ["gpt-6-luna는 작은 모델입니다.", "입력은 0.10달러입니다.", "이전 가격은 10.105달러입니다."]
    notebook.cells += [nbformat.v4.new_markdown_cell(text) for text in texts]
    notebook.cells.append(nbformat.v4.new_code_cell("price = 1_000 * 0.50", execution_count=3))
    nbformat.write(notebook, path)
    exercises = recorded / "notebooks" / "recordings" / "01_small" / "exercises"
    exercises.mkdir()
    (exercises / "01-bill.json").write_text(json.dumps({"hints": ["출력은 0.50달러"]}), encoding="utf-8")
    assert main(["models", "use", "gpt-5.4-mini"]) == 0
    said = capsys.readouterr().out
    listed = said[said.index("read them again") :]
    assert [text in listed for text in texts] == [True, True, False]
    assert "01_small [" in listed and "price = 1_000 * 0.50" in listed
    assert "01-bill.json\n출력은 0.50달러" in listed


def test_a_recording_of_a_real_model_is_not_renamed(recorded, capsys):
    folder = recorded / "notebooks" / "recordings" / "01_small"
    record = json.loads(next(folder.glob("*.json")).read_text("utf-8"))
    record["source"] = {"kind": "api", "by": "api.openai.com", "recorded": "2026-11-22"}
    recordings.save(folder, recordings.seal(record))
    before = files(recorded)
    assert main(["models", "use", "gpt-5.4-mini"]) == 1
    assert "chatkit record 01_small" in capsys.readouterr().err
    assert files(recorded) == before


def test_a_model_without_a_date_is_refused(project, capsys):
    assert main(["models", "use", "gpt-7"]) == 1
    assert "gpt-6-luna" in capsys.readouterr().err


def test_what_is_recorded_from_a_live_server_replays_with_the_saved_outputs(recorded, live, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_MODEL", "own-model")
    live.answer = "실제 서버의 답입니다."
    assert main(["record", "01", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "output changed: 01_small [2]" in said
    assert "removed  chat-completions-" in said  # the reply written for another model
    (record,) = map(json.loads, files(recorded).values())
    assert (record["source"]["kind"], record["request"]["json"]["model"]) == ("local-model", "own-model")

    asked = len(live.requests)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name)
    path = recorded / "notebooks" / "01_small.ipynb"
    saved, again = notebooks.read(path), notebooks.executed(path, {"CHATKIT_MODE": "replay", "CHATKIT_SPEED": "0"})
    assert [cell.outputs for cell in again.cells] == [cell.outputs for cell in saved.cells]
    assert saved.cells[1].outputs[0].data["text/plain"] == "'실제 서버의 답입니다.'"
    assert len(live.requests) == asked


def test_a_failing_run_leaves_recordings_and_notebooks_as_they_were(recorded, live, capsys):
    before = files(recorded), (recorded / "notebooks" / "01_small.ipynb").read_bytes()
    live.answer = Reply(status=400, message="no")
    assert main(["record", "01", "--yes"]) == 1
    assert "the run failed" in capsys.readouterr().err
    assert (files(recorded), (recorded / "notebooks" / "01_small.ipynb").read_bytes()) == before
