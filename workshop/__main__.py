"""A workshop's chores: `python start.py workshop slides`, and so on; `--help` lists them."""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal

import classroom
import guide
import live
import seats
import slides
from course import OutOfStep

from chatkit.errors import ChatkitError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ChatkitError, OutOfStep) as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workshop", description="강의실을 준비합니다. 안내: workshop/INSTRUCTOR.md")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("slides", help="강의 슬라이드를 our-room/slides 폴더에 만듭니다")
    command.add_argument("lesson", nargs="?", help="강의 번호. 없으면 모두")
    command.set_defaults(run=_slides)

    command = commands.add_parser("seats", help="자리 키와 인쇄할 카드를 만듭니다")
    command.add_argument("count", type=int, help="자리 수")
    command.add_argument("--budget", type=Decimal, default=Decimal("0.50"), help="자리마다 쓸 수 있는 USD(0.50)")
    command.add_argument("--room-budget", type=Decimal, help="방 전체가 쓸 수 있는 USD(자리 예산의 합)")
    command.add_argument("--longest", type=int, default=1000, help="답 하나의 최대 토큰(1000)")
    command.add_argument("--per-minute", type=int, default=20, help="자리마다 1분에 물을 수 있는 횟수(20)")
    command.add_argument("--address", help="카드에 적을 게이트웨이 주소. 예: http://192.168.0.10:4000")
    command.set_defaults(run=_seats)

    command = commands.add_parser("gateway", help="강사의 키로 게이트웨이를 켭니다")
    command.add_argument("--host", default="0.0.0.0", help="받을 주소(0.0.0.0: 같은 네트워크 모두)")
    command.add_argument("--port", type=int, default=4000, help="포트(4000)")
    command.set_defaults(run=lambda options: live.gateway(options.host, options.port))

    command = commands.add_parser("spending", help="자리마다 쓴 금액을 보여 줍니다")
    command.set_defaults(run=_spending)

    command = commands.add_parser("hub", help="이 컴퓨터에서 JupyterHub를 켜고 자리의 서버를 미리 띄웁니다")
    command.add_argument("count", type=int, help="자리 수")
    command.add_argument("--host", default="0.0.0.0", help="받을 주소(0.0.0.0: 같은 네트워크 모두)")
    command.add_argument("--port", type=int, default=8000, help="포트(8000). 다음 두 포트도 안에서 씁니다")
    command.set_defaults(run=lambda options: classroom.hub(options.count, options.host, options.port))

    command = commands.add_parser("guide", help="bring the generated parts of INSTRUCTOR.md in step with the lessons")
    command.set_defaults(run=_guide)
    return parser


def _slides(options: argparse.Namespace) -> int:
    for path in slides.write(options.lesson):
        print(path)
    print("브라우저로 여세요. S: 발표자 노트, F: 전체 화면, Esc: 한눈에 보기.")
    return 0


def _seats(options: argparse.Namespace) -> int:
    for path in seats.prepare(
        options.count,
        options.budget,
        room_budget=options.room_budget,
        longest=options.longest,
        per_minute=options.per_minute,
        address=options.address,
    ):
        print(path)
    print("cards.html을 브라우저로 열어 인쇄하세요. 키는 이 카드에만 있습니다.")
    return 0


def _spending(_options: argparse.Namespace) -> int:
    print(live.spending())
    return 0


def _guide(_options: argparse.Namespace) -> int:
    print(guide.write())
    return 0


if __name__ == "__main__":
    sys.exit(main())
