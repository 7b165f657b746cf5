"""Fixtures of the whole suite: an isolated process, a lesson to put recordings into, a server on loopback."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from learner import chat
from openai_server import OpenAIServer

import chatkit
from chatkit import authored, recordings
from chatkit.recordings import Folder, Json, Record, Request

pytest_plugins = ["kernels"]


@pytest.fixture(autouse=True, scope="session")
def one_ssl_context() -> Iterator[None]:
    """Read the root certificates once: every new client does so, and takes 20 ms for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in an empty folder, with no settings of the machine and chatkit off afterwards."""
    for name in [name for name in os.environ if name.startswith(("CHATKIT_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("", encoding="utf-8")  # so that no .env further up is found
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    yield
    chatkit.stop()


class Lesson:
    """A lesson's folder of recordings below a temporary root."""

    name = "01_test"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / self.name
        self.folder.mkdir(parents=True)

    def has(self, prompt: str, *replies: authored.Reply, constructed: bool = False, **body: Any) -> Record:
        """Put an authored recording there: one reply a take."""
        return self.holds(chat(prompt, **body), *replies, constructed=constructed)

    def holds(self, request: Request, *replies: authored.Reply, constructed: bool = False) -> Record:
        """Put an authored recording of any request there."""
        record = authored.record(request, list(replies), by="the tests", why="a test", constructed=constructed)
        recordings.save(self.folder, record)
        return record

    def plays(self, prompt: str, *responses: Json, **body: Any) -> Record:
        """Put whole responses there as they are, with their own `take`."""
        source = {"kind": "authored", "by": "the tests", "recorded": "2026-11-22", "why": "a test"}
        record = recordings.make(chat(prompt, **body), source, list(responses))
        recordings.save(self.folder, record)
        return record

    def start(self, **options: Any) -> None:
        chatkit.start(self.name, **{"speed": 0, "folder": self.root, **options})

    def saved(self) -> Folder:
        return recordings.load_folder(self.folder)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(tmp_path / "recordings")


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A kernel's shell, with a file of its own for what is done."""
    from cells import kernel

    monkeypatch.setenv("CHATKIT_PROGRESS", "progress.json")
    with kernel() as running:
        yield running


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def live(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """The server as the one that the SDK talks to, with a key that it accepts."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "loopback-key")
    return server
