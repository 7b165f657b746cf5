"""What a learner is told when a request has no recording: the nearest one and what differs."""

from __future__ import annotations

import difflib
import heapq
import json
from collections.abc import Callable, Iterator

from chatkit.errors import MissingRecording
from chatkit.messages import say
from chatkit.recordings import Folder, Json, Request, comparable

_COMPARED = 20
_SHOWN = 6
_WIDTH = 60
_ABSENT = object()
_Difference = tuple[str, Json, Json]


def missing(lesson: str, request: Request, folder: Folder) -> MissingRecording:
    """Return the error for a request without a recording, ready to raise."""
    lines = [say("missing", lesson=lesson), ""]
    nearest = closest(request, folder)
    if nearest is None:
        lines.append(say("missing_no_candidate", place=_place(request)))
    else:
        lines.append(say("missing_nearest", file=folder.files[nearest].name))
        lines += _readable(differences(folder.records[nearest]["request"], request))
    if folder.broken:
        names = ", ".join(path.name for path in folder.broken)
        lines.append(say("missing_broken", n=len(folder.broken), files=names))
    return MissingRecording("\n".join([*lines, "", say("missing_ways")]))


def closest(request: Request, folder: Folder) -> str | None:
    """Return the key of the recorded request most like this one, of the same place."""
    same_place = [k for k, r in folder.records.items() if _place(r["request"]) == _place(request)]
    # An exact comparison is slow, so the upper bound that difflib offers picks a few for it.
    matcher = difflib.SequenceMatcher(None, "", _text(request), autojunk=False)

    def likeness(key: str, ratio: Callable[[], float]) -> float:
        matcher.set_seq1(_text(folder.records[key]["request"]))  # what is known of the second text is kept
        return ratio()

    few = heapq.nlargest(_COMPARED, same_place, key=lambda key: likeness(key, matcher.quick_ratio))
    return max(few, key=lambda key: likeness(key, matcher.ratio), default=None)


def differences(recorded: Request, now: Request) -> list[_Difference]:
    """Return (field, recorded value, value now) wherever two requests differ."""
    old, new = dict(_leaves(recorded, "")), dict(_leaves(now, ""))
    names = list(new) + [name for name in old if name not in new]
    pairs = [(name, old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in names]
    return [pair for pair in pairs if _compared(pair[1]) != _compared(pair[2])]


def _compared(value: Json) -> Json:
    # As text, because Python takes true for 1.
    return value if value is _ABSENT else json.dumps(comparable(value))


def _place(request: Request) -> str:
    where = request.get("path") or request.get("url", "").partition("?")[0]
    return f"{request['method']} {where}"


def _text(request: Request) -> str:
    return json.dumps(request, ensure_ascii=False, sort_keys=True)[:4_000]


def _leaves(value: Json, name: str) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, key if name in ("", "json") else f"{name}.{key}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}[{index}]")
    else:
        yield name, value


def _readable(found: list[_Difference]) -> list[str]:
    lines = []
    for name, old, new in found[:_SHOWN]:
        if name == "foreign_key":
            old, new = (say("missing_key" if v is True else "missing_default_key") for v in (old, new))
            name = "Authorization"
        else:
            old, new = _excerpt(old, new), _excerpt(new, old)
        lines += [f"  {name}", say("missing_recorded", value=old), say("missing_now", value=new)]
    if len(found) > _SHOWN:
        lines.append(say("missing_more", n=len(found) - _SHOWN))
    return lines


def _excerpt(value: Json, other: Json) -> str:
    if value is _ABSENT:
        return say("missing_absent")
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _WIDTH:
        return text
    rival = json.dumps(other, ensure_ascii=False) if other is not _ABSENT else ""
    start = next((i for i, (a, b) in enumerate(zip(text, rival, strict=False)) if a != b), min(len(text), len(rival)))
    start = max(0, min(start - _WIDTH // 3, len(text) - _WIDTH))
    end = start + _WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
