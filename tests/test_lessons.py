"""What a lesson's API cells do on the bare SDK, without chatkit."""

from __future__ import annotations

import ast
import datetime
import json
import re

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from isolation import PROJECT
from openai_server import Reply

from chatkit import authored, exercises, models, notebooks, tokens
from chatkit.recordings import key_of, load_folder

LESSONS = notebooks.lessons(PROJECT)


class WithoutChatkit(ast.NodeTransformer):
    """Deletes every statement that names chatkit or what it gave; from an import of several modules chatkit alone."""

    def __init__(self):
        self.names = {"chatkit"}

    def visit_Import(self, node):
        node.names = [alias for alias in node.names if alias.name.partition(".")[0] != "chatkit"]
        return node if node.names else None

    def generic_visit(self, node):
        super().generic_visit(node)
        names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        emptied = getattr(node, "body", True) == []
        if not isinstance(node, ast.stmt) or (self.names.isdisjoint(name.id for name in names) and not emptied):
            return node
        self.names.update(name.id for name in names if isinstance(name.ctx, ast.Store))
        return None


def person(setup):
    """Return code that answers `input()` as the setup cell's `answers` do: somebody must sit at the keyboard."""
    tree = ast.parse(TransformerManager().transform_cell(setup))
    found = [word.value for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords]
    return f"_answers = {ast.unparse(found[0]) if found else {}}\ndef input(prompt=''): return _answers[prompt]\n"


SERVICES = """
import httpx2
def _served(request, recorded={recorded!r}):
    query = httpx2.QueryParams(sorted(request.url.params.multi_items()))
    response = recorded[f"{{request.url.host}}{{request.url.path}}?{{query}}"]
    if "fault" in response:
        raise httpx2.ReadTimeout("as recorded", request=request)
    return httpx2.Response(response["status"], json=response["json"])
httpx2.get = httpx2.Client(transport=httpx2.MockTransport(_served)).get
"""


def services(lesson):
    """Return code in which other web services answer as recorded: the tests have no network."""
    records = load_folder(PROJECT / "notebooks" / "recordings" / lesson).records.values()
    recorded = {r["request"]["url"]: r["responses"][0] for r in records if "url" in r["request"]}
    return SERVICES.format(recorded=recorded) if recorded else ""


def without_chatkit(notebook, prelude):
    typing = prelude + person(next(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    plain = WithoutChatkit()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = plain.visit(ast.parse(TransformerManager().transform_cell(cell.source)))
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
            return Reply(events=[data for _ms, data, *_name in response["events"]], drop_after=response.get("cut"))
        body = json.dumps(response["json"]).encode()
        return Reply(status=response["status"], headers=headers(response), body=body)

    return answer


def samples(lesson):
    """Return an answer for the server: the sample reply of the exercise step that a request reaches."""
    steps = [step for each in exercises.every(PROJECT / "notebooks" / "recordings" / lesson) for step in each.steps]

    def answer(body):
        reached = next(step for step in reversed(steps) if all(exercises.marks(step, exercises.view(body))))
        request = {"method": "POST", "path": "/chat/completions", "json": body}
        response = authored.response(request, reached.reply, "sample", datetime.date(2026, 11, 25))
        if "events" in response:
            return Reply(events=[data for _ms, data in response["events"]])
        return Reply(status=response["status"], body=json.dumps(response["json"]).encode())

    return answer


def headers(response):
    return {name: value for name, value in response["headers"].items() if name != "content-type"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_api_cells_run_on_the_bare_sdk_when_chatkit_is_deleted(path, live, monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", "test-model")
    live.answer = recorded_wire(path.stem)
    notebook = without_chatkit(notebooks.read(path), services(path.stem))
    assert not any("chatkit" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    tokens.count("")  # a learner without chatkit downloads the vocabulary; here it lies where tiktoken looks
    notebook.cells.append(notebook.cells[-1].__class__(_code("import sys; assert 'chatkit' not in sys.modules")))
    notebooks.Runner(notebook, path.parent, {}).run()
    announced = re.search(r"요청 (\d+)번", notebook.cells[0].source)
    assert len(live.requests) == int(announced[1]), "the header announces another number of requests"
    assert {request.body["model"] for request in live.requests} == {"test-model"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_an_exercises_cell_gives_the_same_on_the_bare_sdk_when_its_first_line_is_deleted(path, live, monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", models.default())
    live.answer = samples(path.stem)
    [solution] = notebooks.solutions(PROJECT, path.stem)
    notebook = without_chatkit(notebooks.read(solution), "")
    notebooks.Runner(notebook, solution.parent, {}).run()
    assert not any("chatkit" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert values(notebook) == values(notebooks.read(solution)) != []


def values(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]


def _code(source):
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "id": "check",
    }
