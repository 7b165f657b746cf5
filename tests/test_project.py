"""The files around the package agree with each other, and the checks keep themselves apart from the machine."""

from __future__ import annotations

import ast
import datetime
import os
import re
import subprocess
import sys
import tomllib
import warnings

import pytest
import yaml
from isolation import PROJECT, blocked, copy_lessons, environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import chatkit
from chatkit import models, notebooks

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
REQUIRED = [Requirement(text) for text in [*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"]["test"]]]


def read(name):
    return (PROJECT / name).read_text(encoding="utf-8")


def test_constraints_hold_an_exact_version_within_the_bounds_of_every_requirement():
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", read("constraints.txt"), flags=re.M))
    for requirement in REQUIRED:
        assert requirement.specifier.contains(pins[requirement.name.lower().replace("_", "-")]), requirement
    assert "://" not in read("constraints.txt")


def test_the_conda_environment_has_the_bounds_of_pyproject():
    *named, pip = ENVIRONMENT["dependencies"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]
    assert pip == {"pip": [".[test]"]}
    python, *packages = named
    assert re.fullmatch(r"python=3\.\d+", python), "repo2docker reads only this form"
    assert SpecifierSet(PYPROJECT["requires-python"]).contains(python.removeprefix("python=") + ".1")
    bounds = {requirement.name.lower(): requirement.specifier for requirement in REQUIRED}
    for package in map(Requirement, packages[1:]):
        assert package.specifier == bounds[package.name], package
    assert packages[0] == "pip"


@pytest.mark.parametrize("name", ["lab", "test"])
def test_both_readmes_print_the_same_command(name):
    blocks = [
        re.search(rf"<!-- command: {name} -->\n```sh\n(.+?)```", read(readme), flags=re.S)[1]
        for readme in ("README.md", "README.ko.md")
    ]
    assert blocks[0] == blocks[1]


def test_both_readmes_show_the_same_commands_modes_and_lessons():
    english, korean = read("README.md"), read("README.ko.md")
    for pattern in (
        r"^python start\.py [^#\n]+?(?= *#)",
        r"^\| `(\w+)`",
        r"^\| (\d) \|",
        r"CHATKIT_\w+",
        r"notebooks/\w+",
    ):
        assert set(re.findall(pattern, english, flags=re.M)) == set(re.findall(pattern, korean, flags=re.M)), pattern


def test_the_readmes_link_every_lesson_that_is_ready():
    for readme in ("README.md", "README.ko.md"):
        linked = set(re.findall(r"notebooks/(\w+)\.ipynb", read(readme)))
        assert linked == {path.stem for path in notebooks.lessons(PROJECT)}


def test_the_setup_script_is_short_and_needs_only_python():
    source = read("start.py")
    imported = {
        alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert len(source.splitlines()) <= 150
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_the_example_settings_name_the_model_of_the_course():
    assert f"OPENAI_MODEL={models.default()}\n" in read(".env.example")


def test_the_changelog_and_the_package_know_the_version():
    assert chatkit.__version__ in read("CHANGELOG.md") or "## Unreleased" in read("CHANGELOG.md")


def test_no_file_names_a_package_host_or_a_path_of_one_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    hosts = re.compile("files\\.python" + "hosted|py" + "pi\\.org|registry\\.npm" + "js")
    for name in listed.stdout.splitlines():
        if (PROJECT / name).exists() and (PROJECT / name).suffix in {
            ".py",
            ".md",
            ".toml",
            ".txt",
            ".yml",
            ".ipynb",
            ".json",
            ".svg",
        }:
            assert not hosts.search(read(name)), name


def life_of_the_course(today):
    """Fail 14 days before the course's model is shut down, warn 60 days before."""
    left = models.find(models.default()).days_left(today)
    if left is not None and left <= models.WARN_DAYS:
        message = f"{models.default()} shuts down in {left} days: move the course (chatkit/models.toml)"
        assert left > models.FAIL_DAYS, message
        warnings.warn(message, stacklevel=2)


def test_the_model_of_the_course_is_in_service():
    said = os.environ.get("CHATKIT_TODAY")
    life_of_the_course(datetime.date.fromisoformat(said) if said else datetime.date.today())


@pytest.mark.parametrize(
    ("today", "ending"),
    [("2026-11-14", "quiet"), ("2026-11-15", "warns"), ("2026-12-31", "fails"), ("2027-02-01", "fails")],
)
def test_a_coming_shutdown_warns_and_then_fails(monkeypatch, today, ending):
    monkeypatch.setattr(models, "default", lambda: "gpt-4o-mini")  # shut down on 2027-01-14
    day = datetime.date.fromisoformat(today)
    if ending == "quiet":
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            life_of_the_course(day)
    elif ending == "warns":
        with pytest.warns(UserWarning, match="shuts down in 60 days"):
            life_of_the_course(day)
    else:
        with pytest.raises(AssertionError, match="move the course"):
            life_of_the_course(day)


HOSTILE = """
CHATKIT_MODE=live
CHATKIT_SPEED=banana
CHATKIT_BUDGET=-1
CHATKIT_RECORDINGS=/nowhere
OPENAI_API_KEY=sk-hostile
OPENAI_BASE_URL=http://127.0.0.1:9/v1
OPENAI_MODEL=gpt-hostile
"""


def test_the_checks_do_not_see_a_hostile_environment_or_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(HOSTILE, encoding="utf-8")
    for line in HOSTILE.split():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    lessons = copy_lessons(tmp_path / "lessons")
    seen = "os.environ['OPENAI_MODEL'], os.environ.get('OPENAI_BASE_URL')"
    code = f"import chatkit, os; chatkit.start('01_setup'); print({seen})"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=lessons / "notebooks",
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    banner, line = ran.stdout.strip().splitlines()
    assert "네트워크로는 아무것도 보내지 않습니다" in banner
    assert line == f"{models.default()} None"


def test_the_notebook_run_is_cut_off_from_the_network_and_attempts_are_written_down(tmp_path):
    log = tmp_path / "attempts.log"
    code = "import socket; socket.create_connection(('203.0.113.7', 80), timeout=1)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=blocked(environment(tmp_path), log), capture_output=True, text=True
    )
    assert "the test run may not reach '203.0.113.7'" in ran.stderr
    assert "203.0.113.7" in log.read_text(encoding="utf-8")
