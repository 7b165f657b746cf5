"""`chatkit author`: replies written by hand for a lesson that has no recordings; `chatkit verify` on a project."""

from __future__ import annotations

import io
import json

import nbformat
import pytest

from chatkit import notebooks
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
