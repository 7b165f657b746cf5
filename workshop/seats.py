"""Seats: a key for each, the room's rules for the gateway, and cards to print."""

from __future__ import annotations

import hashlib
import html
import json
import secrets
import socket
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from course import ROOM

from chatkit import models
from chatkit.errors import ChatkitError

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that a card's reader takes for another
_STYLE = """
@page { size: A4; margin: 10mm; }
body { margin: 0; font-family: system-ui, "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans CJK KR", sans-serif; }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 4mm; }
section { border: 1px dashed #888; padding: 4mm; break-inside: avoid; }
section { display: grid; grid-template-columns: 1fr 30mm; gap: 2mm; }
h2 { margin: 0; font-size: 15pt; grid-column: 1 / -1; }
pre { margin: 0; font: 8.5pt/1.5 Consolas, Menlo, "Noto Sans Mono", monospace; grid-column: 1 / -1; }
p { margin: 0; font-size: 9pt; line-height: 1.5; word-break: keep-all; }
svg { width: 30mm; height: 30mm; }
"""


@dataclass(frozen=True)
class Seat:
    """A place in the room, with the key that only its card shows."""

    name: str
    key: str

    def settings(self, address: str) -> str:
        """Return the lines of the learner's `.env`."""
        return f"OPENAI_BASE_URL={address}/v1\nOPENAI_API_KEY={self.key}\nCHATKIT_MODE=auto\n"


def prepare(
    count: int,
    budget: Decimal,
    *,
    room_budget: Decimal | None = None,
    longest: int = 1000,
    per_minute: int = 20,
    address: str | None = None,
    folder: Path = ROOM,
) -> list[Path]:
    """Make the seats, write the rules and the cards, and return the two files.

    Raises:
        ChatkitError: a number is not positive, or there are seats already, whose cards may be in use.
    """
    whole = room_budget if room_budget is not None else budget * count
    numbers = {"자리의 수": count, "자리 예산": budget, "방 예산": whole}
    numbers |= {"답 하나의 길이": longest, "1분에 물을 수 있는 횟수": per_minute}
    for name, number in numbers.items():
        if not (Decimal(number).is_finite() and number > 0):
            raise ChatkitError(f"{name}은(는) 0보다 커야 합니다. 들어온 것: {number}")
    rules_file, cards_file = folder / "room.json", folder / "cards.html"
    if rules_file.exists():
        raise ChatkitError(
            f"자리가 이미 있습니다: {rules_file}\n"
            "나누어 준 카드를 계속 쓰려면 그대로 두세요. "
            f"새로 만들려면 {folder.name} 폴더의 이름을 바꾸고 다시 실행하세요."
        )
    seats = [Seat(f"seat-{number:02}", _key(number)) for number in range(1, count + 1)]
    rules = {
        "models": {models.default(): _prices(models.default())},
        "prices_checked": models.checked().isoformat(),
        "room_budget": str(whole),
        "max_completion_tokens": longest,
        "requests_per_minute": per_minute,
        "seats": [{"name": seat.name, "budget": str(budget), "key_sha256": _hash(seat.key)} for seat in seats],
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(rules_file, json.dumps(rules, indent=2) + "\n")
    _write(cards_file, cards(seats, address or f"http://{own_address()}:4000", budget))
    return [rules_file, cards_file]


def cards(seats: list[Seat], address: str, budget: Decimal) -> str:
    """Return the page of cards; it holds the seats' own keys and nothing of the provider's."""
    shown = "\n".join(_card(seat, address, budget) for seat in seats)
    head = f'<meta charset="utf-8"><title>자리 카드</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="ko"><head>{head}</head><body><main>\n{shown}\n</main></body></html>\n'


def _card(seat: Seat, address: str, budget: Decimal) -> str:
    import segno

    settings = seat.settings(address)
    code = segno.make(settings, error="m").svg_inline(border=0, omitsize=True)
    number = int(seat.name.partition("-")[2])
    return (
        f"<section><h2>{number}번 자리</h2><pre>{html.escape(settings)}</pre>"
        f"<p>강의 폴더의 <b>.env</b>에 위 세 줄을 적고 커널을 다시 시작합니다. 기록에 없는 요청만 실제 모델로 갑니다. "
        f"이 자리의 한도는 USD {budget}입니다. 이 키는 오늘 이 방에서만 쓸 수 있습니다. "
        f"QR 코드에도 같은 세 줄이 있습니다.</p>{code}</section>"
    )


def own_address() -> str:
    """Return this machine's address in the room's network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _key(number: int) -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _letter in range(4)) for _group in range(4))
    return f"sk-seat{number:02}-" + "-".join(groups)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _prices(model: str) -> dict[str, str]:
    found = models.find(model)
    write = found.input * Decimal("1.25")  # what the provider asks for writing to its cache
    prices = {"input": found.input, "cached": found.cached_input, "cache_write": write, "output": found.output}
    return {name: str(usd) for name, usd in prices.items()}


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)  # keys, or what checks them
    path.write_text(text, encoding="utf-8")
