"""Fixtures of the second suite: a room of its own, a gateway in front of a server on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import openai
import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(PROJECT / "workshop"), str(PROJECT / "workshop" / "gateway"), str(PROJECT / "tests")]

import live  # noqa: E402
from browser import free_port  # noqa: E402
from environments import prepare  # noqa: E402
from ledger import Ledger  # noqa: E402
from openai_server import OpenAIServer  # noqa: E402
from seats import Seat, cards  # noqa: E402
from seats import prepare as prepare_seats  # noqa: E402

PATIENCE = 60.0  # seconds until a broken test ends
KEY = "sk-master-" + "k" * 40


@dataclass
class Gateway:
    """A running gateway, its seats and the server behind it."""

    folder: Path
    upstream: OpenAIServer
    seats: list[Seat]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text(encoding="utf-8")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "spending.db")

    def client(self, seat: int = 0, **options: object) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.base_url, api_key=self.seats[seat].key, **{"max_retries": 0, **options})

    def start(self) -> None:
        python = prepare("gateway", live.HERE / "requirements.txt")
        environment = live.gateway_environment(KEY, self.upstream.base_url, self.folder)
        command = [str(python), str(live.HERE), str(self.folder), "127.0.0.1", str(self.port)]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self._wait()

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process
        self.process.kill()
        self.process.wait(PATIENCE)

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"{self.base_url.removesuffix('/v1')}/health", timeout=5).close()
            assert self.process and self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own key and server out of every test."""
    for name in [name for name in os.environ if name.startswith(("CHATKIT_", "OPENAI_"))]:
        monkeypatch.delenv(name)


@contextlib.contextmanager
def opened(folder: Path, **rules: object) -> Iterator[Gateway]:
    """Make a room and open its gateway."""
    with OpenAIServer() as upstream:
        made = {"count": 30, "budget": Decimal("0.50"), "per_minute": 10_000, **rules}
        seats: list[Seat] = []

        def kept(given: list[Seat], address: str, budget: Decimal) -> str:
            seats.extend(given)
            return cards(given, address, budget)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("seats.cards", kept)
            prepare_seats(folder=folder, address="http://127.0.0.1:4000", **made)  # type: ignore[arg-type]
        gateway = Gateway(folder, upstream, seats)
        try:
            gateway.start()
            yield gateway
        finally:
            gateway.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway with room for every test of a file; each test takes seats of its own."""
    with opened(tmp_path_factory.mktemp("room")) as running:
        yield running
