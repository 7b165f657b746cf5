"""The work copy and JupyterLab's settings."""

from __future__ import annotations

import json

import pytest
from isolation import copy_lessons

from chatkit import lab, notebooks
from chatkit.cli import main


@pytest.fixture
def project(tmp_path, monkeypatch):
    copy_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_work_copy_holds_lessons_recordings_pictures_and_solutions(project):
    lab.prepare(project)
    for name in ("01_setup.ipynb", "images/01_round_trip.svg", "solutions/01_setup_solutions.ipynb"):
        assert (project / "work" / name).is_file()
    copied = {path.name for path in (project / "work/recordings/01_setup").iterdir()}
    assert copied == {path.name for path in (project / "notebooks/recordings/01_setup").iterdir()}


def test_the_work_copy_holds_the_data_and_the_scripts_and_keeps_a_learners_changes(project):
    lab.prepare(project)
    work = project / "work"
    assert (work / "data" / "korea_climate_normals.csv").is_file() and (work / "climate.py").is_file()
    (work / "my_bot.py").write_text("mine", encoding="utf-8")
    main(["reset", "1"])
    assert (work / "my_bot.py").read_text(encoding="utf-8") == "mine"


def test_the_work_copy_shows_no_answer_before_the_learner_has_guessed(project):
    lab.prepare(project)
    cells = [c for c in notebooks.read(project / "work" / "01_setup.ipynb").cells if c.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)


def test_what_a_learner_wrote_is_never_overwritten(project):
    lab.prepare(project)
    mine = project / "work" / "01_setup.ipynb"
    mine.write_text("mine", encoding="utf-8")
    lab.prepare(project)
    assert mine.read_text(encoding="utf-8") == "mine"


def test_reset_puts_a_lesson_back_and_keeps_the_old_one_beside_it(project, capsys):
    lab.prepare(project)
    mine = project / "work" / "01_setup.ipynb"
    for number in (1, 2):
        mine.write_text(f"mine {number}", encoding="utf-8")
        assert main(["reset", "1"]) == 0
        kept = project / "work" / f"01_setup_old{number}.ipynb"
        assert kept.read_text(encoding="utf-8") == f"mine {number}"
        assert kept.name in capsys.readouterr().out
    original = notebooks.read(project / "notebooks" / "01_setup.ipynb")
    assert [cell.source for cell in notebooks.read(mine).cells] == [cell.source for cell in original.cells]


def test_reset_keeps_recordings_of_ones_own(project):
    lab.prepare(project)
    recordings = project / "work" / "recordings"
    changed = next((recordings / "01_setup").glob("*.json"))
    changed.write_text("{}", encoding="utf-8")
    main(["reset", "01"])
    assert (recordings / "01_setup_old1" / changed.name).read_text(encoding="utf-8") == "{}"
    assert changed.read_text(encoding="utf-8") != "{}"


def test_reset_works_from_inside_the_work_copy_and_without_one(project, monkeypatch):
    assert main(["reset", "01_setup"]) == 0
    monkeypatch.chdir(project / "work")
    assert main(["reset", "01"]) == 0
    assert (project / "work" / "01_setup_old1.ipynb").exists()


def test_an_unknown_lesson_is_told_with_the_known_ones(project, capsys):
    assert main(["reset", "99"]) == 1
    assert "01_setup" in capsys.readouterr().err


def test_outside_a_checkout_the_message_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reset", "01"]) == 1
    assert "notebooks 폴더" in capsys.readouterr().err


def test_the_settings_are_korean_readable_and_quiet_and_a_room_gets_larger_type(tmp_path):
    sizes = []
    for projector in (False, True):
        lab.configure(tmp_path, projector=projector)
        settings = json.loads((tmp_path / "labconfig/default_setting_overrides.json").read_text(encoding="utf-8"))
        assert settings["@jupyterlab/translation-extension:plugin"] == {"locale": "ko_KR"}
        assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
        themes = settings["@jupyterlab/apputils-extension:themes"]["overrides"]
        sizes.append(int(themes["content-font-size1"].removesuffix("px")))
    assert sizes[0] < sizes[1]


def test_jupyterlab_is_opened_on_the_lesson_in_the_work_copy_with_settings_of_its_own(project, monkeypatch, capsys):
    started = {}

    class Server:
        def __init__(self, command, env, cwd):
            started.update(command=command, env=env, cwd=cwd)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def wait(self):
            return 0

    monkeypatch.setattr(lab.subprocess, "Popen", Server)
    assert main(["lab", "01", "--no-browser", "--ServerApp.port=9999"]) == 0
    work = project / "work"
    assert started["cwd"] == work
    assert started["env"]["JUPYTER_CONFIG_DIR"] == str(work / ".jupyter")
    assert started["env"]["PYTHONUTF8"] == "1"
    assert {
        f"--ServerApp.root_dir={work}",
        "--LabApp.default_url=/lab/tree/01_setup.ipynb",
        "--ServerApp.open_browser=False",
        "--ServerApp.port=9999",
    } <= set(started["command"])
    assert "01_setup" in capsys.readouterr().out


def test_other_commands_refuse_words_they_do_not_know(project, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["reset", "01", "--ServerApp.port=9999"])
    assert ended.value.code == 2
    assert "--ServerApp.port" in capsys.readouterr().err
