"""`chatkit doctor` on machines in good and in bad order."""

from __future__ import annotations

import dataclasses
import datetime
import io
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import jupyter_client.manager
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkit import doctor, models, network
from chatkit.cli import main
from chatkit.messages import KO
from chatkit.session import PLACEHOLDER_KEY

KEY = "sk-proj-" + "abcdefghij" * 4 + "wxyz"
Doctor = Callable[[], tuple[int, str]]


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run the command without starting a kernel; return its exit code and what it printed."""
    monkeypatch.setattr(doctor, "CHECKS", tuple(check for check in doctor.CHECKS if check is not doctor.kernel))

    def run() -> tuple[int, str]:
        code = main(["doctor"])
        printed = capsys.readouterr()
        assert printed.err == ""
        return code, printed.out

    return run


def dotenv(content: str | bytes) -> None:
    Path(".env").write_bytes(content if isinstance(content, bytes) else content.encode())


def mark_of(sentence: str, printed: str) -> str:
    """Return the mark of the finding that holds a sentence."""
    (line,) = [line for line in printed.splitlines() if sentence in line]
    return line[:2]


# the report


def test_a_machine_in_order_has_no_trouble_and_needs_no_key(see: Doctor) -> None:
    code, printed = see()
    assert code == 0
    assert "좋음  API 키: 없음. 키 없이도 재생으로 실행됩니다.\n" in printed
    assert "좋음  모드: replay\n" in printed
    assert printed.endswith("건\n") and "결과: 문제 0건" in printed


def in_form(printed: str) -> bool:
    """Say whether only what is not good has a line below it, and whether the counts are right."""
    *findings, result = printed.splitlines()
    text = "\n".join(findings) + "\n"
    troubles, cautions = len(re.findall("^문제", text, re.M)), len(re.findall("^주의", text, re.M))
    form = r"(좋음  \S.*\n|(주의|문제)  \S.*\n {6}\S.*\n)+"
    return re.fullmatch(form, text) is not None and result == f"결과: 문제 {troubles}건, 주의 {cautions}건"


def test_what_is_not_good_has_a_second_line_that_says_what_to_do(see: Doctor) -> None:
    dotenv("OPENAI_API_KEY=sk-내-키\nCHATKIT_MODE=replya\nOPENAI_MODEL=gpt-0\nwhat is this\n")
    _code, printed = see()
    assert in_form(printed)
    assert {line[:2] for line in printed.splitlines()} == {"좋음", "주의", "문제", "  ", "결과"}


def test_every_sentence_has_at_most_one_line_for_what_to_do() -> None:
    assert all(sentence.count("\n") <= 1 for name, sentence in KO.items() if name.startswith("doctor_"))


def test_a_check_that_breaks_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch, see: Doctor) -> None:
    def broken(_settings: doctor.Settings) -> None:
        raise ZeroDivisionError(KEY)

    monkeypatch.setattr(doctor, "CHECKS", (broken, doctor.mode))
    code, printed = see()
    assert code == 0
    assert "주의  확인을 마치지 못한 항목이 있습니다: broken(ZeroDivisionError).\n" in printed
    assert "모드: replay" in printed
    assert KEY not in printed


def test_a_console_without_hangul_is_printed_to_all_the_same(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["doctor"]) == 0
    console.seek(0)
    assert "replay" in console.read()


# the key


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"OPENAI_API_KEY=“{KEY}”", "둥근 따옴표"),
        ("OPENAI_API_KEY=sk-proj-여기에-내-키", "한글처럼 키에 쓸 수 없는 글자"),
        (f"OPENAI_API_KEY={KEY[:20]} {KEY[20:]}", "빈칸이나 줄바꿈"),
        (f'OPENAI_API_KEY="{KEY[:20]}\n{KEY[20:]}"', "빈칸이나 줄바꿈"),
        (f"OPENAI_API_KEY='\"{KEY}\"'", "따옴표까지 키로"),
        ("OPENAI_API_KEY=your-api-key", "sk-로 시작하지 않습니다"),
    ],
)
@pytest.mark.parametrize(("mode", "code", "mark"), [("replay", 0, "주의"), ("auto", 1, "문제"), ("live", 1, "문제")])
def test_a_key_of_a_wrong_form_is_trouble_where_it_would_be_sent(
    see: Doctor, line: str, said: str, mode: str, code: int, mark: str
) -> None:
    dotenv(f"{line}\nCHATKIT_MODE={mode}\n")
    ended, printed = see()
    assert ended == code
    assert mark_of(said, printed) == mark
    assert KEY[8:40] not in printed and KEY[20:40] not in printed


@pytest.mark.parametrize(
    ("value", "said"),
    [(f'"{KEY}"', "따옴표까지"), (f"'{KEY}", "따옴표까지"), (f"{KEY} ", "빈칸"), (f"{KEY}\n", "빈칸")],
)
def test_what_a_shell_leaves_around_a_key_is_seen(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    monkeypatch.setenv("CHATKIT_MODE", "live")
    code, printed = see()
    assert code == 1
    assert said in printed and "환경 변수 OPENAI_API_KEY, sk-…wxyz" in printed
    assert KEY not in printed


@pytest.mark.parametrize("content", [f"OPENAI_API_KEY={KEY}", f'\ufeffOPENAI_API_KEY="{KEY}"\r\n'])
def test_a_good_key_is_told_by_its_end_and_the_file_it_comes_from(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    dotenv(content + "\nCHATKIT_MODE=live\n")
    below = tmp_path / "한글 폴더"
    below.mkdir()
    monkeypatch.chdir(below)
    code, printed = see()
    assert code == 0
    assert f"좋음  API 키: {tmp_path / '.env'} (sk-…wxyz)\n" in printed
    assert KEY not in printed


def test_the_environments_key_hides_another_one_in_the_file(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    dotenv(f"OPENAI_API_KEY={KEY}")
    assert "다른 키" not in see()[1]
    dotenv(f"OPENAI_API_KEY={KEY[:-4]}abcd")
    _code, printed = see()
    assert "좋음  API 키: 환경 변수 OPENAI_API_KEY (sk-…wxyz)\n" in printed
    assert mark_of("다른 키가 있지만 환경 변수의 키가 먼저", printed) == "주의"


@pytest.mark.parametrize("content", ["", "OPENAI_API_KEY=\n", "OPENAI_API_KEY='  '\n"])
@pytest.mark.parametrize(
    ("mode", "mark", "code"), [("replay", "좋음", 0), ("auto", "주의", 0), ("live", "문제", 1), ("record", "문제", 1)]
)
def test_a_missing_key_is_trouble_only_where_every_request_is_sent(
    see: Doctor, content: str, mode: str, mark: str, code: int
) -> None:
    dotenv(f"{content}CHATKIT_MODE={mode}\n")
    ended, printed = see()
    assert (ended, mark_of("API 키: 없음", printed)) == (code, mark)


def test_inside_a_lesson_chatkits_own_placeholder_is_no_key(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLACEHOLDER_KEY)
    assert "API 키: 없음" in see()[1]
    dotenv(f"OPENAI_API_KEY={KEY}")
    assert "sk-…wxyz" in see()[1]


def test_another_server_may_have_another_kind_of_key_and_model(see: Doctor) -> None:
    dotenv("OPENAI_BASE_URL=http://localhost:11434/v1\nOPENAI_API_KEY=ollama\nOPENAI_MODEL=exaone\nCHATKIT_MODE=live\n")
    code, printed = see()
    assert code == 0
    assert "sk-" not in printed and mark_of("모델: exaone", printed) == "좋음"


@pytest.mark.parametrize(
    "content",
    [f"CHATKIT_MODE={KEY}", f"OPENAI_MODEL={KEY}", KEY, f"OPENAI_API_KEY: {KEY}", f"OPENAI_API_KEY=“{KEY}", f"={KEY}"],
)
def test_a_key_in_a_wrong_place_is_not_printed_either(see: Doctor, content: str) -> None:
    dotenv(content)
    _code, printed = see()
    assert KEY[:20] not in printed and KEY[8:-4] not in printed


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (KEY, "sk-…wxyz"),
        ("sk-short-wxyz", "sk-…"),
        ("x" * 30 + "wxyz", "…wxyz"),
        ("sk-" + "가" * 30, "sk-…"),
        ("", "…"),
    ],
)
def test_a_mask_spares_only_the_end_of_what_is_long_enough(key: str, shown: str) -> None:
    assert doctor.masked(key) == shown


# the file


@pytest.mark.parametrize(
    "content",
    [
        f"OPENAI_API_KEY={KEY}".encode("utf-16"),
        f"OPENAI_API_KEY={KEY}".encode("utf-16-le"),
        f"# 내 키\nOPENAI_API_KEY={KEY}".encode("cp949"),
        b"\x00\xff\xfe junk",
        b"A=\x00",
    ],
    ids=["utf-16", "utf-16 without a mark", "cp949", "junk", "NUL"],
)
def test_a_file_that_is_no_utf8_text_is_trouble(see: Doctor, tmp_path: Path, content: bytes) -> None:
    dotenv(content)
    code, printed = see()
    assert code == 1
    assert f"문제  {tmp_path / '.env'}: UTF-8 텍스트가 아니라서" in printed
    assert "확인을 마치지" not in printed


def test_a_folder_called_like_the_file_is_trouble(see: Doctor, tmp_path: Path) -> None:
    Path(".env").unlink()
    Path(".env").mkdir()
    code, printed = see()
    assert code == 1
    assert f"문제  {tmp_path / '.env'}: 텍스트 파일이 아니라서" in printed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"waits for {path}"))
    Path(".env").unlink()
    os.mkfifo(".env")
    code, printed = see()
    assert (code, mark_of("텍스트 파일이 아니라서", printed)) == (1, "문제")


def test_a_file_that_may_not_be_read_is_trouble(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # a test may run as root, whom no mode stops
    code, printed = see()
    assert (code, mark_of("읽을 권한이 없거나", printed)) == (1, "문제")


def test_a_file_called_env_txt_is_trouble_when_it_stands_for_the_real_one(see: Doctor, tmp_path: Path) -> None:
    Path(".env").rename(".env.txt")
    code, printed = see()
    assert code == 1
    assert (
        f"문제  {tmp_path / '.env.txt'}: 이름이 .env.txt라서 읽지 않습니다.\n      이름을 .env로 바꾸세요." in printed
    )
    dotenv("")
    code, printed = see()
    assert (code, mark_of("이름이 .env.txt라서", printed)) == (0, "주의")


def test_it_is_looked_for_above_as_far_as_the_file_that_is_read(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = tmp_path / "course" / "lessons"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (tmp_path / ".env.txt").touch()
    assert ".env.txt" in see()[1]
    (tmp_path / "course" / ".env").touch()
    assert ".env.txt" not in see()[1]


def test_lines_that_set_nothing_are_told_by_number(see: Doctor) -> None:
    dotenv(f"OPENAI_MODEL=gpt-6-luna\n{KEY}\n# fine\nOPENAI_API_KEY: {KEY}\nEMPTY=\n\n내 키\n")
    code, printed = see()
    assert code == 0
    assert mark_of("읽지 못했거나 값이 없는 줄이 있습니다(2, 4, 7번째 줄)", printed) == "주의"


def test_python_dotenv_says_nothing_beside_the_findings(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for logger in (logging.getLogger(), logging.getLogger("dotenv")):
        monkeypatch.setattr(logger, "handlers", [])
    dotenv("what is this\n")
    assert "1번째 줄" in see()[1]


def test_in_the_project_folder_it_is_the_work_copys_file_that_counts(see: Doctor, tmp_path: Path) -> None:
    for folder in ("notebooks/recordings", "work"):
        (tmp_path / folder).mkdir(parents=True)
    dotenv("CHATKIT_MODE=auto")
    assert "모드: auto" in see()[1]
    (tmp_path / "work" / ".env").write_text("CHATKIT_MODE=live", encoding="utf-8")
    assert "모드: live" in see()[1]
    assert Path.cwd() == tmp_path


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_no_content_of_the_file_makes_it_stumble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (doctor.dotenv_file, doctor.mode, doctor.key, doctor.model))
    dotenv(content + f"\nOPENAI_API_KEY={KEY}\n".encode())
    main(["doctor"])
    printed = capsys.readouterr().out
    assert in_form(printed)
    assert "확인을 마치지" not in printed and KEY not in printed


# git


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize(
    ("ignored", "exists", "mark", "code"),
    [
        (".env\n", True, "좋음", 0),
        ("*.log\n", True, "문제", 1),
        ("*.log\n", False, "문제", 1),
        (".env\n", False, "좋음", 0),
    ],
)
def test_in_a_checkout_the_file_has_to_be_ignored(
    see: Doctor, ignored: str, exists: bool, mark: str, code: int
) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".gitignore").write_text(ignored, encoding="utf-8")
    if not exists:
        Path(".env").unlink()
    ended, printed = see()
    assert (ended, mark_of("git: ", printed)) == (code, mark)


def test_outside_a_checkout_git_is_not_mentioned(see: Doctor) -> None:
    assert "git:" not in see()[1]


def test_a_checkout_that_git_cannot_be_asked_about_is_only_a_caution(
    see: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".git").mkdir()
    code, printed = see()
    assert (code, mark_of("git: ", printed)) == (0, "주의")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert mark_of("git: ", see()[1]) == "주의"


# mode and model


@pytest.mark.parametrize("where", ["environment", "dotenv"])
def test_an_unknown_mode_names_the_four(see: Doctor, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "environment":
        monkeypatch.setenv("CHATKIT_MODE", "replya")
    else:
        dotenv("CHATKIT_MODE=replya")
    code, printed = see()
    assert (code, mark_of("replay, auto, live, record. 들어온 값: 'replya'", printed)) == (1, "문제")


@pytest.mark.parametrize("chosen", [True, False], ids=["OPENAI_MODEL", "the course's"])
@pytest.mark.parametrize(
    ("days", "replay", "live"),
    [
        (models.WARN_DAYS + 1, "좋음", "좋음"),
        (models.WARN_DAYS, "주의", "주의"),
        (1, "주의", "주의"),
        (0, "주의", "문제"),
        (-30, "주의", "문제"),
    ],
)
def test_a_models_end_is_told_before_and_after_it(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, chosen: bool, days: int, replay: str, live: str
) -> None:
    day = datetime.date.today() + datetime.timedelta(days)
    mortal = dataclasses.replace(models.find("gpt-6-luna"), id="gpt-mortal", shutdown=day)
    monkeypatch.setattr(models, "known", lambda: {"gpt-mortal": mortal})
    monkeypatch.setattr(models, "default", lambda: "gpt-other" if chosen else "gpt-mortal")
    for mode, mark in (("replay", replay), ("live", live)):
        dotenv(f"CHATKIT_MODE={mode}\nOPENAI_API_KEY={KEY}\n" + ("OPENAI_MODEL=gpt-mortal" if chosen else ""))
        code, printed = see()
        assert (code, mark_of("모델: gpt-mortal", printed)) == (int(mark == "문제"), mark)
        assert f"{day}" in printed


def test_an_unknown_model_is_a_caution_that_names_the_courses(see: Doctor) -> None:
    dotenv("OPENAI_MODEL=gpt-6-lunar\n")
    code, printed = see()
    assert (code, mark_of("모델: gpt-6-lunar", printed)) == (0, "주의")
    assert f"강의의 모델은 {models.default()}입니다" in printed


# packages, fonts, kernel


@pytest.mark.parametrize(
    ("needs", "code", "said"),
    [
        (["openai>=3.54,<4", "no-such-package>=1; extra == 'test'"], 0, "좋음  패키지: openai 3.60.0"),
        (["openai>=4"], 1, "문제  강의에 맞지 않는 패키지: openai>=4 (3.60.0)."),
        (["openai>=3", "no-such-package>=1"], 1, "문제  강의에 맞지 않는 패키지: no-such-package>=1 (0)."),
    ],
)
def test_installed_versions_are_compared_with_the_declared_ones(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, needs: list[str], code: int, said: str
) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "requires", lambda _name: needs)
    monkeypatch.setattr(metadata, "version", lambda name: "3.60.0" if name == "openai" else real(name))
    ended, printed = see()
    assert ended == code
    assert said in printed
    assert f"좋음  Python {platform.python_version()}" in printed


def test_a_course_that_is_not_installed_is_only_a_caution(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    code, printed = see()
    assert (code, mark_of("강의 패키지가 설치되어 있지 않아", printed)) == (0, "주의")


@pytest.mark.parametrize(
    ("system", "listed", "said"),
    [
        ("Linux", b"NotoSansCJK-Regular.ttc\n", "좋음  한글 글꼴: 있음"),
        ("Linux", b"\n", "주의  한글 글꼴: 없음"),
        ("Linux", None, ""),
        ("Windows", None, "좋음  한글 글꼴: 있음"),
        ("Darwin", None, "좋음  한글 글꼴: 있음"),
    ],
)
def test_a_font_with_hangul_is_asked_for_where_one_may_be_missing(
    see: Doctor, monkeypatch: pytest.MonkeyPatch, system: str, listed: bytes | None, said: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(shutil, "which", lambda name: None if listed is None else f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda _command, **_options: SimpleNamespace(stdout=listed))
    code, printed = see()
    assert code == 0
    assert said in printed
    assert said or "글꼴" not in printed


def test_a_kernel_is_started_without_a_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.kernel in doctor.CHECKS
    monkeypatch.setattr(doctor, "CHECKS", (doctor.kernel,))
    network.block()
    try:
        assert main(["doctor"]) == 0
    finally:
        network.unblock()
    assert "좋음  Jupyter 커널: 시작해서 1+1을 실행했습니다(2).\n" in capsys.readouterr().out


def test_a_kernel_that_does_not_start_in_time_is_trouble(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(**options: object) -> None:
        assert options["startup_timeout"] == doctor.KERNEL_SECONDS
        raise RuntimeError("Kernel didn't respond")

    monkeypatch.setattr(jupyter_client.manager, "run_kernel", too_slow)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.kernel,))
    code, printed = see()
    assert (code, mark_of("시작하지 못했거나 답이 없습니다(RuntimeError)", printed)) == (1, "문제")


def test_a_kernel_that_cannot_compute_is_trouble(see: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def execute(self, _code: str, **options: object) -> dict[str, object]:
            assert options["timeout"] == doctor.KERNEL_SECONDS
            return {"content": {"status": "error", "user_expressions": {}}}

    monkeypatch.setattr(jupyter_client.manager, "run_kernel", lambda **_: Client())
    monkeypatch.setattr(doctor, "CHECKS", (doctor.kernel,))
    code, printed = see()
    assert (code, mark_of("시작하지 못했거나 답이 없습니다", printed)) == (1, "문제")
