"""What is done is kept in one small file, whatever happens to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Lesson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chatkit
from chatkit import marks
from chatkit.messages import say

FILE = Path("progress.json")


@pytest.fixture(autouse=True)
def own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_PROGRESS", str(FILE))


def test_what_is_marked_is_done_and_the_first_day_counts() -> None:
    marks.mark("01-ask")
    first = marks.done()
    FILE.write_text(FILE.read_text(encoding="utf-8").replace(first["01-ask"], "2026-01-01"), encoding="utf-8")
    marks.mark("01-ask")
    marks.mark("02-json")
    assert marks.done()["01-ask"] == "2026-01-01" and set(marks.done()) == {"01-ask", "02-json"}


def test_progress_counts_what_is_done_of_all_lessons() -> None:
    before = str(chatkit.progress())
    marks.mark("01-ask")
    marks.mark("06-trust")
    after = chatkit.progress()
    assert say("progress_total", n=30, done=0) in before and say("progress_total", n=30, done=2) in str(after)
    assert "✓ 바다는 왜 파란지 묻기" in after._repr_markdown_()
    assert before.index("01_setup") < before.index("06_chatbot_project")


def test_without_a_file_nothing_is_done_and_nothing_is_written() -> None:
    assert marks.done() == {} and not FILE.exists()


def test_deleting_the_file_hurts_nothing() -> None:
    marks.mark("01-ask")
    FILE.unlink()
    marks.mark("02-json")
    assert set(marks.done()) == {"02-json"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.sampled_from([b"[]", b"{}", b'{"done": 3}', b'{"done": ["a"]}', b"[" * 100_000]))
def test_a_file_that_is_none_of_ours_is_kept_aside(content: bytes) -> None:
    FILE.write_bytes(content)
    marks.mark("01-ask")
    assert set(marks.done()) == {"01-ask"}
    assert content in [kept.read_bytes() for kept in Path().glob("progress.json.old*")]


def test_files_kept_aside_do_not_replace_each_other() -> None:
    for content in ("{", "["):
        FILE.write_text(content, encoding="utf-8")
        marks.done()
    assert [Path(f"progress.json.old{n}").read_text(encoding="utf-8") for n in ("", "1")] == ["{", "["]


def test_an_editors_mark_and_what_a_newer_version_wrote_are_kept() -> None:
    FILE.write_text('\ufeff{"chatkit_progress": 2, "more": 1, "done": {"a": "2026-01-01"}}', encoding="utf-8")
    marks.mark("01-ask")
    content = json.loads(FILE.read_text(encoding="utf-8"))
    assert content["chatkit_progress"] == 2 and content["more"] == 1 and set(content["done"]) == {"a", "01-ask"}


def test_a_day_that_is_none_is_not_shown() -> None:
    FILE.write_text('{"done": {"01-ask": "<img src=x onerror=alert(1)>", "01-body": 3}}', encoding="utf-8")
    assert marks.done() == {}


def test_three_kernels_at_once_lose_nothing() -> None:
    code = "from chatkit import marks\nfor n in range(20): marks.mark(f'NAME-{n}')"
    running = [subprocess.Popen([sys.executable, "-c", code.replace("NAME", name)]) for name in "abc"]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert len(marks.done()) == 60


def test_a_broken_exercise_hides_only_its_own_lesson(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    (lesson.folder / "exercises").mkdir()
    (lesson.folder / "exercises" / "01-a.json").write_text("{", encoding="utf-8")
    lesson.start()
    assert say("progress_total", n=0, done=0) in str(chatkit.progress())
    assert "01-a.json" in capsys.readouterr().out


def test_the_learner_is_told_of_a_fresh_start(capsys: pytest.CaptureFixture[str]) -> None:
    FILE.write_text("{", encoding="utf-8")
    assert marks.done() == {}
    assert capsys.readouterr().out.strip() == say("progress_broken", file=FILE.name, kept="progress.json.old")


def test_where_nothing_can_be_written_the_lesson_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHATKIT_PROGRESS", "nowhere/progress.json")
    marks.mark("01-ask")
    assert "progress.json" in capsys.readouterr().out


def test_a_file_that_cannot_be_opened_stays_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    FILE.mkdir()
    assert marks.done() == {}
    assert FILE.is_dir() and "progress.json" in capsys.readouterr().out


def test_set_to_nothing_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKIT_PROGRESS", "")
    marks.mark("01-ask")
    assert marks.done() == {}


def test_the_file_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHATKIT_PROGRESS")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    marks.mark("01-ask")
    content = json.loads((tmp_path / ".chatkit-progress.json").read_text(encoding="utf-8"))
    assert content["chatkit_progress"] == 1 and list(content["done"]) == ["01-ask"]
