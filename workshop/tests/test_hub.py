"""A real hub: thirty learners log in, each gets lesson 3 in a work copy and runs it to its end on recordings."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import classroom
import psutil
import pytest
import requests
import websocket
from browser import free_port
from conftest import PROJECT

from chatkit import notebooks

LEARNERS = int(os.environ.get("WORKSHOP_LEARNERS", "30"))
LESSON = "03_streaming.ipynb"
PATIENCE = 900.0  # seconds until a broken test ends


@dataclass
class Hub:
    """A running hub, its learners' password, and what it costs."""

    address: str
    password: str
    folder: Path
    originals: Path
    process: subprocess.Popen[bytes]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    python = classroom.hub_python()
    folder, password, token = tmp_path_factory.mktemp("hub"), secrets.token_hex(4), secrets.token_hex(32)
    port, originals = _three_free_ports(), _originals(tmp_path_factory.mktemp("originals") / "course")
    told = {"host": "127.0.0.1", "port": port, "password": password, "token": token, "repository": originals}
    environment = classroom.hub_environment(python, folder, LEARNERS, **told)
    environment |= {"CHATKIT_SPEED": "0", "CHATKIT_FPS": "0", "CHATKIT_MODE": "replay"}
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            classroom.hub_command(python), env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    running = Hub(f"http://127.0.0.1:{port}", password, folder, originals, process)
    try:
        started = time.perf_counter()
        before = [str(python), str(classroom.HERE / "before_class.py"), f"{running.address}/hub/api", str(LEARNERS)]
        assert subprocess.call(before, env={**environment, "HUB_TOKEN": token}) == 0, running.log
        running.figures["servers started (s)"] = time.perf_counter() - started
        yield running
    finally:
        _end(process)
        for name, value in running.figures.items():
            print(f"{name}: {value:.1f}", file=sys.__stdout__, flush=True)


def _originals(folder: Path) -> Path:
    """Lay out this tree's lessons as a repository that nobody can write to."""
    for name in ("notebooks", "solutions"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns(".env*", ".ipynb_checkpoints"))
    shutil.copy2(PROJECT / ".gitignore", folder)
    identity = ["-c", "user.name=course", "-c", "user.email=course@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "lessons"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


def _three_free_ports() -> int:
    while True:
        port = free_port()
        if port < 65_000:
            return port


def _end(process: subprocess.Popen[bytes]) -> None:
    family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    for member in family:  # a hub leaves its learners' servers running
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


class Learner:
    """A learner at a browser: logs in, opens a lesson, runs its cells."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.name, self.session = hub, name, requests.Session()
        self.base = f"{hub.address}/user/{name}"

    def log_in(self, password: str | None = None) -> requests.Response:
        page = self.session.get(f"{self.hub.address}/hub/login", timeout=60)
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
        form = {"username": self.name, "password": password or self.hub.password, "_xsrf": xsrf[1] if xsrf else ""}
        return self.session.post(
            f"{self.hub.address}/hub/login?next=/user/{self.name}/lab", data=form, timeout=PATIENCE
        )

    def lesson(self) -> Any:
        found = self.session.get(f"{self.base}/api/contents/{LESSON}", timeout=PATIENCE)
        assert found.ok, found.text
        return found.json()["content"]

    def run(self) -> list[tuple[str | None, str | None]]:
        """Run every cell in order and return, for each, the error it says it raises and the one it raised."""
        with self._channels(self._kernel()) as channels:
            cells = [cell for cell in self.lesson()["cells"] if cell["cell_type"] == "code"]
            told = [cell["metadata"].get("chatkit", {}).get("raises") for cell in cells]
            return [
                (error, self._execute(channels, "".join(cell["source"]))[0])
                for error, cell in zip(told, cells, strict=True)
            ]

    def says(self, source: str) -> str:
        """Run one cell in a new kernel and return what it prints."""
        with self._channels(self._kernel()) as channels:
            return self._execute(channels, source)[1]

    def _kernel(self) -> str:
        session = {"type": "notebook", "path": LESSON, "name": LESSON, "kernel": {"name": "python3"}}
        return str(self._post("/api/sessions", session)["kernel"]["id"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"X-XSRFToken": self._cookie("_xsrf")}
        answer = self.session.post(f"{self.base}{path}", json=body, headers=headers, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()

    def _cookie(self, name: str) -> str:
        return next(
            cookie.value or "" for cookie in self.session.cookies if cookie.name == name and self.name in cookie.path
        )

    @contextlib.contextmanager
    def _channels(self, kernel: str) -> Iterator[websocket.WebSocket]:
        address = f"{self.base.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels"
        request = requests.Request("GET", f"{self.base}/api")
        cookies = self.session.prepare_request(request).headers.get("Cookie", "")
        xsrf = urllib.parse.quote(self._cookie("_xsrf"))
        channels = websocket.create_connection(f"{address}?_xsrf={xsrf}", cookie=cookies, timeout=PATIENCE)
        try:
            yield channels
        finally:
            channels.close()

    def _execute(self, channels: websocket.WebSocket, source: str) -> tuple[str | None, str]:
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": "execute_request",
            "username": self.name,
            "session": number,
            "version": "5.3",
        }
        content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        channels.send(json.dumps(message))
        error, printed = None, ""
        while True:
            said = json.loads(channels.recv())
            if said["parent_header"].get("msg_id") != number:
                continue
            if said["msg_type"] == "stream":
                printed += said["content"]["text"]
            if said["msg_type"] == "error":
                error = said["content"]["ename"]
            if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                return error, printed


def test_a_wrong_password_and_a_stranger_stay_outside(hub: Hub) -> None:
    assert Learner(hub, "seat-01").log_in("wrong").status_code == 403
    assert Learner(hub, "somebody").log_in().status_code == 403


def test_everyone_logs_in_and_runs_lesson_3_to_the_end(hub: Hub) -> None:
    learners = [Learner(hub, f"seat-{number:02}") for number in range(1, LEARNERS + 1)]

    def attends(learner: Learner) -> list[tuple[str | None, str | None]]:
        arrived = learner.log_in()
        assert arrived.ok and f"/user/{learner.name}/lab" in arrived.url, arrived.url
        assert not any(cell.get("outputs") for cell in learner.lesson()["cells"]), "a learner predicts before they see"
        return learner.run()

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(LEARNERS) as room:
        ran = list(room.map(attends, learners, timeout=PATIENCE))
    hub.figures["lesson 3 by all (s)"] = time.perf_counter() - started
    _note_memory(hub)
    code = [cell for cell in notebooks.read(PROJECT / "notebooks" / LESSON).cells if cell.cell_type == "code"]
    for learner, cells in zip(learners, ran, strict=True):
        assert len(cells) == len(code)
        assert [told for told, _raised in cells] == [raised for _told, raised in cells], learner.name


def _note_memory(hub: Hub) -> None:
    """Note what a learner's server and kernel take: their own memory, and their share of what all have in common."""
    kinds: dict[str, list[float]] = {"server": [], "kernel": []}
    for child in psutil.Process(hub.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(child.cmdline())
            kind = "kernel" if "ipykernel_launcher" in line else "server" if "learner_server.py" in line else None
            if kind:
                kinds[kind].append(child.memory_full_info().pss / 2**20)
    for kind, sizes in kinds.items():
        hub.figures[f"{kind}, MB a learner"] = sum(sizes) / LEARNERS
    hub.figures["together, MB a learner"] = sum(map(sum, kinds.values())) / LEARNERS


def test_a_learner_changes_a_copy_and_never_the_lessons(hub: Hub) -> None:
    learner = Learner(hub, "seat-01")
    learner.log_in()
    notebook = learner.lesson()
    notebook["cells"][0]["source"] = "# 내가 바꾼 제목"
    headers = {"X-XSRFToken": learner._cookie("_xsrf")}
    body = {"type": "notebook", "content": notebook}
    saved = learner.session.put(f"{learner.base}/api/contents/{LESSON}", json=body, headers=headers, timeout=60)
    assert saved.ok, saved.text
    home = hub.folder / "homes" / "seat-01" / "course"
    assert "내가 바꾼 제목" in (home / "work" / LESSON).read_text(encoding="utf-8")
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=home, capture_output=True, text=True, check=True)
    assert changed.stdout == "", "the pulled lessons stay as they came, so that pulling again never meets a change"
    assert learner.says("!chatkit reset 03").count("처음 상태로") == 1
    assert "내가 바꾼 제목" not in (home / "work" / LESSON).read_text(encoding="utf-8")
    neighbour = hub.folder / "homes" / f"seat-{LEARNERS:02}" / "course" / "work" / LESSON
    assert "내가 바꾼 제목" not in neighbour.read_text(encoding="utf-8")
