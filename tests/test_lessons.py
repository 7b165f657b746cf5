"""What a lesson's cells do: on the bare SDK without chatkit, and recorded from a live server."""

from __future__ import annotations

import ast
import json
import re

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from isolation import PROJECT, copy_lessons
from openai_server import OpenAIServer, Reply

from chatkit import models, notebooks
from chatkit.cli import main
from chatkit.recordings import key_of, load_folder

LESSONS = notebooks.lessons(PROJECT)


class WithoutChatkit(ast.NodeTransformer):
    """Deletes every statement that names chatkit, and chatkit alone from an import of several modules."""

    def visit_Import(self, node):
        node.names = [alias for alias in node.names if alias.name.partition(".")[0] != "chatkit"]
        return node if node.names else None

    def generic_visit(self, node):
        super().generic_visit(node)
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return None if isinstance(node, ast.stmt) and "chatkit" in names else node


def person(setup):
    """Return code that answers `input()` as the setup cell's `answers` do: somebody must sit at the keyboard."""
    tree = ast.parse(TransformerManager().transform_cell(setup))
    found = [word.value for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords]
    return f"_answers = {ast.unparse(found[0]) if found else {}}\ndef input(prompt=''): return _answers[prompt]\n"


def without_chatkit(notebook):
    typing = person(next(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = WithoutChatkit().visit(ast.parse(TransformerManager().transform_cell(cell.source)))
            cell.source = ast.unparse(tree)
            missing_recording = cell.metadata.get("chatkit", {}).get("raises") == "MissingRecording"
            if missing_recording:  # without chatkit nothing is missing: the request goes out
                cell.metadata = {}
            cell.source, typing = typing + cell.source, ""
    return notebook


@pytest.fixture
def own_server(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-of-the-test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "test-model")
        yield server


def recorded_wire(lesson):
    """Return an answer for the server: what the lesson's recordings hold for a request, else a plain reply."""
    records = load_folder(PROJECT / "notebooks" / "recordings" / lesson).records

    def answer(body):
        asked = {"method": "POST", "path": "/chat/completions", "json": {**body, "model": models.default()}}
        record = records.get(key_of(asked))
        if record is None:
            return "기록에 없는 질문입니다."
        response = record["responses"][0]
        if "events" in response:
            return Reply(events=[data for _ms, data, *_name in response["events"]])
        return Reply(status=response["status"], body=json.dumps(response["json"]).encode())

    return answer


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_api_cells_run_on_the_bare_sdk_when_chatkit_is_deleted(path, own_server):
    own_server.answer = recorded_wire(path.stem)
    notebook = without_chatkit(notebooks.read(path))
    assert not any("chatkit" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells.append(notebook.cells[-1].__class__(_code("import sys; assert 'chatkit' not in sys.modules")))
    notebooks.Runner(notebook, path.parent, {}).run()
    announced = re.search(r"요청 (\d+)번", notebook.cells[0].source)
    assert len(own_server.requests) == int(announced[1]), "the header announces another number of requests"
    assert {request.body["model"] for request in own_server.requests} == {"test-model"}


def _code(source):
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "id": "check",
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    copy_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recordings(project):
    folder = project / "notebooks" / "recordings" / "01_setup"
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def test_a_recorded_lesson_replays_with_the_outputs_it_was_saved_with(project, own_server, monkeypatch, capsys):
    assert main(["record", "01", "--yes"]) == 0
    assert "output changed: 01_setup [2]" in capsys.readouterr().out
    kinds = {json.loads(content)["source"]["kind"] for content in recordings(project).values()}
    assert kinds == {"local-model"}

    asked = len(own_server.requests)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name)
    path = project / "notebooks" / "01_setup.ipynb"
    saved, again = notebooks.read(path), notebooks.executed(path, {"CHATKIT_MODE": "replay", "CHATKIT_SPEED": "0"})
    assert [cell.get("outputs") for cell in again.cells] == [cell.get("outputs") for cell in saved.cells]
    assert len(own_server.requests) == asked


def test_a_failing_run_leaves_recordings_and_notebooks_as_they_were(project, own_server, capsys):
    before = recordings(project), (project / "notebooks" / "01_setup.ipynb").read_bytes()
    own_server.answer = Reply(status=400, message="no")
    assert main(["record", "01", "--yes"]) == 1
    assert "the run failed" in capsys.readouterr().err
    assert (recordings(project), (project / "notebooks" / "01_setup.ipynb").read_bytes()) == before
