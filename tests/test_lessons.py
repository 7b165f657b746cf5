"""What a lesson's API cells do on the bare SDK, without chatkit."""

from __future__ import annotations

import ast
import json
import re

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from isolation import PROJECT
from openai_server import Reply

from chatkit import models, notebooks
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
def test_api_cells_run_on_the_bare_sdk_when_chatkit_is_deleted(path, live, monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", "test-model")
    live.answer = recorded_wire(path.stem)
    notebook = without_chatkit(notebooks.read(path))
    assert not any("chatkit" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells.append(notebook.cells[-1].__class__(_code("import sys; assert 'chatkit' not in sys.modules")))
    notebooks.Runner(notebook, path.parent, {}).run()
    announced = re.search(r"요청 (\d+)번", notebook.cells[0].source)
    assert len(live.requests) == int(announced[1]), "the header announces another number of requests"
    assert {request.body["model"] for request in live.requests} == {"test-model"}


def _code(source):
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "id": "check",
    }
