"""The room's live mode: start the gateway with the instructor's key, and say what was spent."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from course import PROJECT, ROOM
from environments import prepare
from seats import own_address

from chatkit.errors import ChatkitError

HERE = Path(__file__).resolve().parent / "gateway"
# What a process needs to run at all; the instructor's other settings and keys stay outside.
_KEPT = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERPROFILE", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY")
_API = "https://api.openai.com"


def gateway(host: str, port: int, folder: Path = ROOM) -> int:
    """Run the gateway until it is stopped.

    Raises:
        ChatkitError: there are no seats yet, or no key.
    """
    environment = gateway_environment(*_upstream(), folder)
    python = prepare("gateway", HERE / "requirements.txt")
    print(f"게이트웨이: http://{own_address()}:{port}/v1 (끝내려면 Ctrl+C). 쓴 금액: python start.py workshop spending")
    command = [str(python), str(HERE), str(folder), host, str(port)]
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the gateway got it too


def gateway_environment(key: str, url: str, folder: Path) -> dict[str, str]:
    """Return all that the gateway's process is told; the key is in no file and on no command line.

    Raises:
        ChatkitError: there are no seats yet.
    """
    if not (folder / "room.json").exists():
        raise ChatkitError("자리가 아직 없습니다. python start.py workshop seats 30 --budget 0.50 을 먼저 실행하세요.")
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONUTF8": "1", "UPSTREAM_KEY": key, "UPSTREAM_URL": url}


def _upstream() -> tuple[str, str]:
    from dotenv import dotenv_values

    given = {**dotenv_values(PROJECT / ".env", encoding="utf-8"), **os.environ}
    key = given.get("OPENAI_API_KEY") or _asked()
    if key.startswith("sk-seat"):
        raise ChatkitError("OPENAI_API_KEY에 자리 키가 있습니다. 강사의 .env에는 API에서 받은 키를 적으세요.")
    return key, given.get("OPENAI_BASE_URL") or _API


def _asked() -> str:
    key = getpass.getpass("OPENAI_API_KEY(화면에 보이지 않습니다): ").strip() if sys.stdin.isatty() else ""
    if not key:
        raise ChatkitError("OPENAI_API_KEY가 없습니다. 강사의 .env나 환경 변수에 적고 다시 실행하세요.")
    return key


def spending(folder: Path = ROOM) -> str:
    """Return a table of what each seat has spent.

    Raises:
        ChatkitError: there are no seats yet.
    """
    sys.path.insert(0, str(HERE))
    from ledger import Ledger
    from room import Room

    if not (folder / "room.json").exists():
        raise ChatkitError(f"자리가 아직 없습니다: {folder / 'room.json'}")
    room, ledger = Room.load(folder / "room.json"), Ledger(folder / "spending.db")
    lines = [f"{'자리':<8}{'요청':>6}{'쓴 금액(USD)':>14}{'예산':>10}"]
    budgets = {seat.name: seat.budget for seat in room.seats}
    for account in ledger.accounts():
        budget = budgets.get(account.seat, Decimal(0))
        lines.append(f"{account.seat:<10}{account.calls:>6}{account.usd:>16.6f}{budget:>12}")
    return "\n".join([*lines, f"모두 USD {ledger.spent():.6f} / {room.budget}"])
