"""The `chatkit` command: lab, reset, doctor for learners (Korean), verify, record, author for maintainers (English)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatkit import doctor, lab, models, notebooks, studio, verification
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.recordings import Request, load_folder


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 findings or a failed run, 2 wrong use."""
    parser = _parser()
    options, extra = parser.parse_known_args(arguments)
    if extra and options.run is not _lab:
        parser.error(f"unrecognized arguments: {' '.join(extra)}")
    options.extra = extra
    try:
        code: int = options.run(options)
    except ChatkitError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatkit", description=say("cli_about"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("lab", help=say("cli_lab"))
    command.add_argument("lesson", nargs="?", default="01", help=say("cli_lesson"))
    command.add_argument("--projector", action="store_true", help=say("cli_projector"))
    command.add_argument("--no-browser", action="store_true", help=say("cli_no_browser"))
    command.set_defaults(run=_lab)

    command = commands.add_parser("reset", help=say("cli_reset"))
    command.add_argument("lesson", help=say("cli_lesson"))
    command.set_defaults(run=_reset)

    command = commands.add_parser("doctor", help=say("cli_doctor"))
    command.set_defaults(run=lambda _options: doctor.examine())

    command = commands.add_parser("verify", help="check recordings and notebooks")
    command.add_argument(
        "--usage", type=Path, metavar="DIR", help="logs of CHATKIT_USAGE_LOG, to find stale recordings"
    )
    command.set_defaults(run=_verify)

    command = commands.add_parser("record", help="record a lesson from the live API")
    command.add_argument("lesson")
    command.add_argument("--yes", action="store_true", help="do not ask before spending money")
    command.add_argument("--missing", action="store_true", help="keep what is recorded, record only what is missing")
    command.set_defaults(run=_record)

    command = commands.add_parser("models", help="show the models, or move the series to another one")
    command.set_defaults(run=_models)
    uses = command.add_subparsers(metavar="use")
    command = uses.add_parser("use", help="rename the model in all authored recordings and run the lessons again")
    command.add_argument("model")
    command.set_defaults(run=_use_model)

    command = commands.add_parser("author", help="write the missing replies of a lesson by hand")
    command.add_argument("lesson")
    command.add_argument("--by", default="the course authors")
    command.add_argument("--why", default=studio.WHY)
    command.add_argument("--constructed", action="store_true", help="replies a live API cannot be made to give")
    command.set_defaults(run=_author)
    return parser


def _lab(options: argparse.Namespace) -> int:
    browser = not options.no_browser
    project = notebooks.originals()
    return lab.open_lab(project, options.lesson, projector=options.projector, browser=browser, extra=options.extra)


def _reset(options: argparse.Namespace) -> int:
    lesson, kept = lab.reset(notebooks.originals(), options.lesson)
    print(say("reset_done", lesson=lesson.stem, kept=kept.name) if kept else say("reset_new", lesson=lesson.stem))
    return 0


def _verify(options: argparse.Namespace) -> int:
    project = notebooks.originals()
    used = verification.read_usage(options.usage) if options.usage else None
    root = project / "notebooks" / "recordings"
    found = verification.check_recordings(root, used)
    books = [*notebooks.lessons(project), *sorted((project / "solutions").glob("*.ipynb"))]
    found += verification.check_exercises(root, books)
    for path in books:
        found += verification.check_notebook(path)
    print("\n".join(found) or f"verify: {len(list(root.glob('*/*.json')))} recordings, {len(books)} notebooks: clean")
    if used is None:
        print("verify: no usage log given (--usage), so stale recordings were not looked for")
    return 1 if found else 0


def _models(_options: argparse.Namespace) -> int:
    print(models.table())
    return 0


def _use_model(options: argparse.Namespace) -> int:
    project, before = notebooks.originals(), models.default()
    try:
        with _progress() as report:
            changes = studio.use_model(project, options.model, report)
    except ChatkitError:
        raise
    except Exception as error:
        print(f"{error}\nthe run failed; recordings and notebooks are as they were", file=sys.stderr)
        return 1
    for change in changes.values():
        _print_changes(change)
    passages = list(studio.passages_on(project, models.find(before)))
    print(f"\n{len(passages)} passages name {before} or its prices; read them again")
    for place, text in passages:
        print("", "---", place, text, sep="\n")
    return 0


@contextmanager
def _progress() -> Iterator[studio.Report]:
    from tqdm import tqdm

    with tqdm(unit="cell") as bar:

        def report(name: str, done: int, total: int) -> None:
            bar.set_description(name)
            bar.total, bar.n = total, done
            bar.refresh()

        yield report


def _record(options: argparse.Namespace) -> int:
    project = notebooks.originals()
    lesson = notebooks.find(project, options.lesson)
    calls, cost = studio.expected_cost(load_folder(lesson.parent / "recordings" / lesson.stem))
    price = f"about USD {cost:.4f}" if cost is not None else "price unknown"
    print(f"{lesson.stem}: {calls} recorded responses to make again ({price} by list price), constructed ones excepted")
    if not options.yes and input("Go on? [y/N] ").strip().lower() != "y":
        return 1
    try:
        with _progress() as report:
            changes = studio.record(project, lesson, report, only_missing=options.missing)
    except Exception as error:
        print(f"{error}\n{lesson.stem}: the run failed; recordings and notebooks are as they were", file=sys.stderr)
        return 1
    _print_changes(changes)
    return 0


def _print_changes(changes: studio.Changes) -> None:
    for word in ("added", "changed", "removed"):
        for name in getattr(changes, word):
            print(f"{word:8} {name}")
    for where, source, prose in changes.cells:
        print(f"\noutput changed: {where}\n{source}\n--- prose beside it, to be read again ---\n{prose}")


def _author(options: argparse.Namespace) -> int:
    project = notebooks.originals()
    lesson = notebooks.find(project, options.lesson)
    marks = {"by": options.by, "why": options.why, "constructed": options.constructed}
    for path in studio.author(project, lesson, _ask, **marks):
        print(f"written {path.name}")
    return 0


def _ask(request: Request) -> str:
    print(json.dumps(request, ensure_ascii=False, indent=2))
    print("Reply as a small current model would, or JSON (see CONTRIBUTING.md). End with a line holding only a dot.")
    lines: list[str] = []
    for line in sys.stdin:
        if line.rstrip("\n") == ".":
            return "\n".join(lines)
        lines.append(line.rstrip("\n"))
    raise ChatkitError("the input ended before a line holding only a dot; nothing was written for this request")
