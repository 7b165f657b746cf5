"""What happens when a machine, a network, a disk or a person does not behave."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import nbformat
import openai
import pytest
from conftest import Lesson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from learner import LUNA, ask, chat
from openai_server import PATIENCE, OpenAIServer, Reply, chunks

import chatkit
from chatkit import recordings, studio
from chatkit.cli import main

PROJECT = Path(__file__).resolve().parent.parent
PROMPT = "안녕"
LIVE_ANSWER = "안녕하세요, 반갑습니다."
posix = pytest.mark.skipif(sys.platform == "win32", reason="asks for POSIX")


def process(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a fresh Python with this project's chatkit, in the test's own folder."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUTF8": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8", **options}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment, **pipes)


# two at once

HOLD = """
import sys
from pathlib import Path
from chatkit import studio
with studio._alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "notebooks" / "recordings" / "01_small").mkdir(parents=True)
    cells = [nbformat.v4.new_code_cell('import chatkit\nchatkit.start("01_small")')]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_small.ipynb")
    return tmp_path


@pytest.fixture
def holder(project: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is recording the lesson."""
    other = process(HOLD, project / "notebooks" / "recordings" / "01_small")
    assert other.stdout.readline() == "held\n"
    with other:
        yield other
        other.kill()


@pytest.mark.parametrize("command", [["record", "01", "--yes"], ["author", "01"]], ids=["record", "author"])
def test_a_second_process_is_kept_out_until_the_first_is_dead(
    project: Path,
    holder: subprocess.Popen[str],
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run: list[str] = []

    def executed(path: Path, *_: object, **__: object) -> Any:
        run.append(path.stem)
        return nbformat.read(path, as_version=4)

    monkeypatch.setattr(studio.notebooks, "executed", executed)
    assert main(command) == 1
    assert "01_small is being recorded by another process; wait until it is done" in capsys.readouterr().err
    assert run == []
    holder.kill()
    holder.wait()
    assert main(command) == 0
    assert set(run) == {"01_small"}


RECORD = """
import sys, types
sys.modules["openai"] = types.SimpleNamespace(__version__="0")  # only its number is asked for, and it takes a second
import chatkit, httpx2
from chatkit import session
chatkit.start("01_test", mode="record", folder=sys.argv[1])
url, headers = sys.argv[2] + "/chat/completions", {"authorization": "Bearer loopback-key"}
print("ready", flush=True)
sys.stdin.readline()
with httpx2.Client() as client:
    for _ in range(2):
        session._active._new_cell()
        for number in range(10):
            message = {"role": "user", "content": f"{number}"}
            client.post(url, json={"model": "gpt-6-luna", "messages": [message]}, headers=headers).raise_for_status()
print("done", flush=True)
"""


def test_two_processes_recording_into_one_folder_leave_whole_files_at_every_moment(
    lesson: Lesson, live: OpenAIServer
) -> None:
    turn = iter(range(1_000))
    live.answer = lambda _body: "긴 답 " * (next(turn) % 7 * 500)
    both = [process(RECORD, lesson.root, live.base_url) for _ in range(2)]
    for one in both:
        while one.stdout.readline() != "ready\n":
            pass
    for one in both:
        one.stdin.write("\n")
        one.stdin.flush()
    looks = 0
    while any(one.poll() is None for one in both):
        assert lesson.saved().broken == {}
        looks += 1
    for one in both:
        assert one.communicate()[0] == "done\n"
        assert one.returncode == 0
    assert looks > 1
    assert lesson.saved().records.keys() == {recordings.key_of(chat(f"{number}")) for number in range(10)}
    assert all(recordings.seal(record) == record for record in lesson.saved().records.values())
    assert {name for name in lesson.files() if not name.endswith(".json")} == set()


# killed

KILLED = """
import os, random, signal, sys
from pathlib import Path
from chatkit import recordings
folder = Path(sys.argv[1])
old = list(recordings.load_folder(folder).records.values())
SYSTEM = ("posix", "_io")

def save_all(seed, acknowledge, fatal):
    seen = 0
    def die(frame, event, called):
        nonlocal seen
        owner = getattr(called, "__module__", None) or type(getattr(called, "__self__", None)).__module__
        if event in ("c_call", "c_return") and owner in SYSTEM:
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
    order = random.Random(seed).sample(range(len(old)), len(old))
    sys.setprofile(die)
    for number in order:
        record = old[number]
        answer = {**record["responses"][0], "json": {"round": seed, "text": "가" * 4_000}}
        recordings.save(folder, recordings.make(record["request"], record["source"], [answer]))
        os.write(acknowledge, bytes([number]))

for line in sys.stdin:
    seed = int(line)
    chance = random.Random(seed)
    reader, writer = os.pipe()
    # Odd rounds die at a chosen call into the system, even ones when the other process sees fit.
    fatal = chance.randrange(1, 150) if seed % 2 else 0
    child = os.fork()
    if not child:
        try:
            save_all(seed, writer, fatal)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(writer)
    saved = b""
    if not fatal:
        wanted = chance.randrange(1, 12)
        while len(saved) < wanted:
            saved += os.read(reader, 1)
        os.kill(child, signal.SIGKILL)
    while more := os.read(reader, 100):
        saved += more
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(reader)
    print(" ".join(recordings.key_of(old[number]["request"]) for number in saved), flush=True)
"""


@posix
def test_killed_at_any_moment_no_recording_is_lost_or_half_written(lesson: Lesson) -> None:
    for number in range(12):
        lesson.has(f"{number}", "예시")
    expected = dict.fromkeys(lesson.saved().records)
    with process(KILLED, lesson.folder) as victims:
        for seed in range(50):
            victims.stdin.write(f"{seed}\n")
            victims.stdin.flush()
            acknowledged = victims.stdout.readline().split()
            folder = lesson.saved()
            assert folder.broken == {}
            assert folder.records.keys() == expected.keys()
            rounds = {key: record["responses"][0]["json"].get("round") for key, record in folder.records.items()}
            assert all(recordings.seal(record) == record for record in folder.records.values())
            begun = {key for key in expected if rounds[key] != expected[key]}
            assert all(rounds[key] == seed for key in begun)
            assert begun >= set(acknowledged)
            assert len(begun) <= len(acknowledged) + 1
            expected = rounds
    assert victims.returncode == 0


# disks


@pytest.mark.parametrize(
    ("module", "call", "code"),
    [
        (tempfile, "mkstemp", errno.EROFS),
        (tempfile, "mkstemp", errno.EACCES),
        (os, "fsync", errno.ENOSPC),
        (os, "fsync", getattr(errno, "EDQUOT", errno.ENOSPC)),
        (os, "replace", errno.EPERM),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_disk_that_refuses_is_told_in_korean_and_recording_goes_on_afterwards(
    lesson: Lesson,
    live: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    call: str,
    code: int,
    streamed: bool,
) -> None:
    old = lesson.holds(chat(PROMPT, stream=True) if streamed else chat(PROMPT), "예시")
    before = lesson.files()

    def ask_it() -> None:
        messages = [{"role": "user", "content": PROMPT}]
        answer = openai.OpenAI(max_retries=0).chat.completions.create(model=LUNA, messages=messages, **body)
        list(answer)

    body = {"stream": True} if streamed else {}

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    lesson.start(mode="record")
    with monkeypatch.context() as patch:
        patch.setattr(module, call, refuse)
        with pytest.raises(chatkit.ChatkitError) as told:
            ask_it()
    for words in (recordings.file_name(old), os.strerror(code), "이전 기록은 그대로입니다", "쓰기 권한을 확인"):
        assert words in str(told.value)
    assert lesson.files() == before
    ask_it()
    assert lesson.files().keys() == before.keys()
    assert lesson.files() != before


@posix
def test_a_disk_that_is_really_full_in_the_middle_of_a_file(lesson: Lesson, live: OpenAIServer) -> None:
    import resource

    lesson.has(PROMPT, "예시")
    before = lesson.files()
    live.answer = "아주 긴 답 " * 1_000
    lesson.start(mode="record")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(chatkit.ChatkitError, match=r"저장하지 못했습니다\(File too large\).*이전 기록은 그대로"):
            ask(PROMPT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lesson.files() == before


@pytest.mark.skipif(sys.platform == "win32" or not os.geteuid(), reason="root writes everywhere")
def test_a_read_only_folder_is_told_and_plays_on(lesson: Lesson, live: OpenAIServer) -> None:
    lesson.has(PROMPT, "예시")
    before = lesson.files()
    lesson.folder.chmod(0o555)
    try:
        lesson.start(mode="record")
        with pytest.raises(chatkit.ChatkitError, match=r"저장하지 못했습니다\(Permission denied\)"):
            ask(PROMPT)
        lesson.start()
        assert ask(PROMPT) == "예시"
    finally:
        lesson.folder.chmod(0o755)
    assert lesson.files() == before


# damaged files


def damage(lesson: Lesson) -> dict[str, str]:
    """Put what does not belong there into the folder; return file names with the reason that is told."""
    whole = recordings.dump(recordings.make(chat("다른 질문"), {"kind": "api"}, [{"status": 200, "json": {}}]))
    newer = whole.replace('"chatkit": 1', '"chatkit": 2')
    files = {
        "corrupt": (b"\x00\xff\xfe\x93", "json"),
        "truncated": (whole[:100].encode(), "json"),
        "empty": (b"", "json"),
        "merge-conflict": (f"<<<<<<< HEAD\n{whole}=======\n".encode(), "json"),
        "utf-16": (whole.encode("utf-16"), "json"),
        "cassette": (b'{"version": 1, "interactions": []}', "shape"),
        "list": (b"[1, 2]", "shape"),
        "no-answers": (whole.replace('"responses"', '"replies"').encode(), "shape"),
        "newer": (newer.encode(), "format"),
    }
    for name, (raw, _reason) in files.items():
        (lesson.folder / f"{name}.json").write_bytes(raw)
    (lesson.folder / "folder.json").mkdir()
    return {f"{name}.json": reason for name, (_raw, reason) in files.items()} | {"folder.json": "json"}


@pytest.mark.parametrize("mode", ["replay", "auto", "record"])
def test_damaged_files_are_each_named_with_a_reason_and_the_rest_runs(
    lesson: Lesson, live: OpenAIServer, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    lesson.has(PROMPT, "예시", constructed=True)
    wrong = damage(lesson)
    lesson.start(mode=mode)
    banner = capsys.readouterr().out
    for name, reason in wrong.items():
        assert f"{name}: 이 기록은 읽지 못해 건너뜁니다({reason}). 나머지는 그대로 실행됩니다." in banner
    assert banner.count("건너뜁니다") == len(wrong)
    assert ask(PROMPT) == "예시"
    assert live.requests == []


def test_a_miss_names_the_damaged_files_since_the_recording_may_be_among_them(lesson: Lesson) -> None:
    wrong = damage(lesson)
    lesson.start()
    with pytest.raises(chatkit.MissingRecording, match=f"읽지 못한 기록이 {len(wrong)}개 있습니다") as missed:
        ask(PROMPT)
    assert all(name in str(missed.value) for name in wrong)


SECOND = recordings.make(chat("둘째"), {"kind": "api"}, [{"status": 200, "json": {"글": "가나다"}}])
GOOD = recordings.dump(SECOND).encode()
unhurried = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@unhurried
@given(st.integers(0, len(GOOD) - 2), st.binary(max_size=12))
@example(0, b"")
@example(len(GOOD) - 2, b"")
@example(GOOD.index("가".encode()) + 1, b"")
def test_a_file_cut_off_anywhere_never_stops_the_lesson(
    lesson: Lesson, capsys: pytest.CaptureFixture[str], size: int, rest: bytes
) -> None:
    lesson.has(PROMPT, "예시")
    (lesson.folder / "cut.json").write_bytes(GOOD[:size] + rest)
    lesson.start()
    assert ask(PROMPT) == "예시"
    if not rest:
        assert "cut.json: 이 기록은 읽지 못해 건너뜁니다(json)" in capsys.readouterr().out


# keys

NO_KEYS = {
    "curly quotes": "“sk-abcdefghijkl”",
    "Hangul": "여기에-키를-붙여넣기",
    "line break inside": "sk-abcdef\nghijkl",
    "spaces inside": "sk-abcdef ghi jkl",
    "full-width": "ｓｋ-abcdefghijkl",
}


def refused(mode: str, lesson: Lesson) -> Exception:
    with pytest.raises(Exception) as raised:
        lesson.start(mode=mode)
        ask(PROMPT)
    return raised.value


@pytest.mark.parametrize("mode", ["live", "record", "auto"])
@pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS)
def test_what_cannot_be_a_key_is_neither_sent_nor_shown(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, mode: str, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    error = refused(mode, lesson)
    assert live.requests == []
    assert key not in str(error)
    assert lesson.files() == {}


@pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS)
def test_what_cannot_be_a_key_is_told_by_start(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    error = refused("live", lesson)
    assert isinstance(error, chatkit.ChatkitError)
    assert "OPENAI_API_KEY" in str(error)


@pytest.mark.parametrize("mode", ["live", "record"])
@pytest.mark.parametrize("key", ["", " ", "\t\n"])
def test_a_key_of_nothing_is_a_missing_key(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, mode: str, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(chatkit.ChatkitError, match=r"OPENAI_API_KEY가 비어 있습니다.*CHATKIT_MODE=replay"):
        lesson.start(mode=mode)


@pytest.mark.parametrize("key", ["", " ", "\t"])
def test_auto_with_a_key_of_nothing_plays_and_misses(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    lesson.has(PROMPT, "예시")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    lesson.start(mode="auto")
    assert ask(PROMPT) == "예시"
    with pytest.raises(chatkit.MissingRecording, match=r"\.env에 OPENAI_API_KEY와 CHATKIT_MODE=auto"):
        ask("누구?")
    assert live.requests == []


# on and off

PLAIN = """
import sys
import chatkit, httpx2
url, body = "https://api.openai.com/v1/chat/completions", {body!r}
def ask():
    return httpx2.post(url, json=body).json()["choices"][0]["message"]["content"]
chatkit.stop()
for _ in range(2):
    assert chatkit.start("01_test", folder=sys.argv[1], speed=0) is None
    print(ask(), ask())
chatkit.stop()
chatkit.stop()
chatkit.start("01_test", folder=sys.argv[1], speed=0)
assert "IPython" not in sys.modules and "openai" not in sys.modules
"""


def test_a_plain_python_program_may_start_twice_and_end_without_stop(lesson: Lesson) -> None:
    lesson.has(PROMPT, "하나", "둘")
    program = process(PLAIN.replace("{body!r}", repr(chat(PROMPT)["json"])), lesson.root, stderr=subprocess.STDOUT)
    said, _ = program.communicate()
    banner = "01_test: 예시 응답 1건으로 실행합니다. 네트워크로는 아무것도 보내지 않습니다."
    assert said.splitlines() == [banner, "하나 둘", banner, "하나 둘", banner]
    assert program.returncode == 0


# bodies that are no JSON

POSTS: dict[str, dict[str, Any]] = {
    "raw": {"content": b"\x89PNG\x00\xff"},
    "multipart": {"files": {"file": ("a.wav", b"RIFF\xff")}, "data": {"model": "whisper-1"}},
    "form": {"data": {"grant": "가"}},
    "pieces": {"content": [b"\xff", b"\xd8"]},
}
URL = "https://api.openai.com/v1/audio/transcriptions"


@pytest.mark.parametrize("how", POSTS.values(), ids=POSTS)
@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_a_body_that_is_no_json_is_a_miss_without_a_key(lesson: Lesson, mode: str, how: dict[str, Any]) -> None:
    lesson.has(PROMPT, "예시")
    lesson.start(mode=mode)
    authorized = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    with pytest.raises(chatkit.MissingRecording, match="POST /audio/transcriptions 요청의 기록이 하나도 없습니다"):
        httpx2.post(URL, headers=authorized, **how)
    assert ask(PROMPT) == "예시"


def test_a_body_that_is_no_json_differs_readably_from_a_recorded_one(lesson: Lesson) -> None:
    lesson.has(PROMPT, "예시")
    lesson.start()
    with pytest.raises(chatkit.MissingRecording) as missed:
        httpx2.post("https://api.openai.com/v1/chat/completions", content=b"\x89PNG\x00\xff")
    assert "body.bytes\n    기록: (없음)\n    지금: 6" in str(missed.value)
    assert "PNG" not in str(missed.value)


@pytest.mark.parametrize("how", POSTS.values(), ids=POSTS)
def test_auto_sends_a_body_that_is_no_json_as_it_is(
    lesson: Lesson, live: OpenAIServer, capsys: pytest.CaptureFixture[str], how: dict[str, Any]
) -> None:
    live.answer = Reply(body=b'{"text": "ok"}')
    lesson.start(mode="auto")
    authorized = {"authorization": "Bearer loopback-key"}
    assert httpx2.post(f"{live.base_url}/audio/transcriptions", headers=authorized, **how).json() == {"text": "ok"}
    assert "실시간 호출: /audio/transcriptions" in capsys.readouterr().out
    (received,) = live.requests
    assert received.headers.get("content-length") or received.headers["transfer-encoding"] == "chunked"
    assert lesson.files() == {}


@pytest.mark.parametrize("how", POSTS.values(), ids=POSTS)
def test_record_says_what_it_cannot_record_and_how_to_go_on(
    lesson: Lesson, live: OpenAIServer, how: dict[str, Any]
) -> None:
    lesson.start(mode="record")
    told = "녹화할 수 있는 본문: JSON. 들어온 본문: .*CHATKIT_MODE=live로 실행하면"
    with pytest.raises(chatkit.ChatkitError, match=told):
        httpx2.post(f"{live.base_url}/audio/transcriptions", **how)
    assert live.requests == []
    assert lesson.files() == {}


def test_a_picture_of_10_mb_is_kept_as_its_hash_and_found_again(lesson: Lesson, live: OpenAIServer) -> None:
    def look(picture: str) -> str:
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}]
        return ask(content)

    picture = "iVBORw0K" * 1_250_000
    lesson.start(mode="record")
    assert look(picture) == LIVE_ANSWER
    assert live.requests[0].body["messages"][0]["content"][0]["image_url"]["url"].endswith(picture[-1_000:])
    ((name, raw),) = lesson.files().items()
    assert len(raw) < 2_000
    assert b'"url": "data:image/png;base64,sha256=' in raw
    lesson.start()
    assert look(picture) == LIVE_ANSWER
    with pytest.raises(chatkit.MissingRecording, match=rf"{name}(.|\n)*messages\[0\]\.content\[0\]") as missed:
        look(picture[:-1] + "L")
    assert len(str(missed.value)) < 1_000


# interrupted

TRIES = {
    "chat stream": ("/chat/completions", {"stream": True}, "text/event-stream"),
    "another stream": ("/responses", {"stream": True}, "text/event-stream"),
    "whole": ("/weather", {}, "text/plain; charset=utf-8"),
}
Try = tuple[str, dict[str, Any], str]


def sent(live: OpenAIServer, way: Try) -> dict[str, Any]:
    path, extra, _kind = way
    headers = {"authorization": "Bearer loopback-key"}
    return {
        "method": "POST",
        "url": live.base_url + path,
        "json": {**chat(PROMPT)["json"], **extra},
        "headers": headers,
    }


def record_whole(lesson: Lesson, live: OpenAIServer, way: Try) -> dict[str, bytes]:
    """Record an answer to its end, start anew and return the files: what a broken second try must leave alone."""
    live.answer = Reply(events=list(chunks("온전한 답", chat(PROMPT)["json"])), headers={"content-type": way[2]})
    lesson.start(mode="record")
    httpx2.request(**sent(live, way))
    lesson.start(mode="record")
    assert len(lesson.files()) == 1
    return lesson.files()


class Interrupted(httpx2.SyncByteStream):
    """A body whose reader presses the stop button while the second piece is waited for."""

    def __init__(self, body: httpx2.SyncByteStream) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            yield piece
            raise KeyboardInterrupt

    def close(self) -> None:
        self._body.close()


@pytest.mark.parametrize("way", TRIES.values(), ids=TRIES)
def test_an_interrupt_in_the_middle_of_an_answer_leaves_the_old_recording(
    lesson: Lesson, live: OpenAIServer, monkeypatch: pytest.MonkeyPatch, way: Try
) -> None:
    before = record_whole(lesson, live, way)
    real = chatkit.session._real_sync

    def interrupted(transport: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        response = real(transport, request)
        response.stream = Interrupted(response.stream)
        return response

    monkeypatch.setattr(chatkit.session, "_real_sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        httpx2.request(**sent(live, way))
    chatkit.stop()
    assert lesson.files() == before


@pytest.mark.parametrize("way", TRIES.values(), ids=TRIES)
def test_a_cancelled_task_leaves_the_old_recording(lesson: Lesson, live: OpenAIServer, way: Try) -> None:
    """The server holds the second half back until the task that waits for it is gone."""
    before = record_whole(lesson, live, way)
    came, gone = threading.Event(), threading.Event()

    async def ask_and_be_cancelled() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def halves(_body: Any) -> Iterator[Any]:
            first, *others = chunks("반쪽 답", chat(PROMPT)["json"])
            yield first
            came.wait(PATIENCE)
            loop.call_soon_threadsafe(task.cancel)
            gone.wait(PATIENCE)
            yield from others

        live.answer = lambda body: Reply(events=halves(body), headers={"content-type": way[2]})
        async with httpx2.AsyncClient() as client, client.stream(**sent(live, way)) as response:
            async for _piece in response.aiter_raw():
                came.set()

    try:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask_and_be_cancelled())
    finally:
        gone.set()
    chatkit.stop()
    assert lesson.files() == before


def test_an_error_in_the_cell_while_a_stream_is_open_still_records_a_whole_answer(
    lesson: Lesson, live: OpenAIServer
) -> None:
    """The stop button between two chunks: the stream lives on in the traceback, until it is forgotten."""
    live.answer = "하나 둘 셋"
    lesson.start(mode="record")
    client = openai.OpenAI(max_retries=0)

    def cell() -> None:
        messages = [{"role": "user", "content": PROMPT}]
        for _chunk in client.chat.completions.create(model=LUNA, messages=messages, stream=True):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cell()
    gc.collect()
    chatkit.stop()
    (record,) = lesson.saved().records.values()
    assert record["responses"][0]["text"] == "하나 둘 셋 "
    client.close()
