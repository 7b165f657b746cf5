"""Small SVG pictures of what a lesson measures, each with a sentence and a table that say the same.

Sanitisers drop styles, ids and scripts: only presentation attributes are used. No mark is told apart by colour alone.
"""

from __future__ import annotations

import math
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

from chatkit.errors import ChatkitError
from chatkit.messages import say

Number: TypeAlias = float | Decimal
_Row: TypeAlias = Sequence[str]

WIDTH, MARGIN = 640, 20
INNER = WIDTH - 2 * MARGIN
MOST_ROWS, MOST_LINES, MOST_POINTS, MOST_TOKENS = 12, 6, 1_000, 200
LARGEST, LONGEST_LABEL = 10**15, 40
_TOKEN_BYTES = 17_000  # what the tokens of a picture may take of its 20 kB

_INK, _EDGE, _GRID, _PALE, _WHITE = "#1f2328", "#57606a", "#d8dee4", "#eaeef2", "#ffffff"
_BLUE, _RED = "#0969da", "#cf222e"
_FILLS = ("#b6e3ff", "#ffd8b5", "#aceebb", "#ecd8ff", "#fae17d", "#ffcecb")
_GOOD, _BAD = _FILLS[2], _FILLS[5]
_DASHED = {"stroke_dasharray": "4 3"}
_STROKES = (  # colour, dashes, shape of the points
    (_BLUE, "none", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"),
    ("#bc4c00", "7 4", "m-4-4h8v8h-8z"),
    ("#1a7f37", "2 3", "m0-5l5 9h-10z"),
    ("#8250df", "10 3 2 3", "m0-5l5 5-5 5-5-5z"),
    (_RED, "14 5", "m-4-4l8 8m0-8l-8 8"),
    (_EDGE, "4 2", "m-5 0h10m-5-5v10"),
)
_FONT = "'Noto Sans KR','Noto Sans CJK KR','Malgun Gothic','Apple SD Gothic Neo',sans-serif"


class Table:
    """The data of a picture: a Markdown table in a notebook, aligned columns elsewhere."""

    def __init__(self, head: _Row, rows: Iterable[_Row]) -> None:
        self._rows = [head, *rows]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        head, *rows = ("| " + " | ".join(map(_cell, row)) + " |" for row in self._rows)
        rule = "|---|" + "--:|" * (len(self._rows[0]) - 1)
        return {"text/markdown": "\n".join([head, rule, *rows]), "text/plain": repr(self)}

    def __repr__(self) -> str:
        widths = [max(map(_columns, column)) for column in zip(*self._rows, strict=True)]
        return "\n".join(_aligned(row, widths) for row in self._rows)


def _aligned(row: _Row, widths: Sequence[int]) -> str:
    first, *others = (" " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True))
    return "  ".join([row[0] + first, *(space + cell for space, cell in zip(others, row[1:], strict=True))])


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _cell(text: str) -> str:
    # No escape keeps JupyterLab from reading mathematics between dollar signs.
    return re.sub(r"[!-#&'*;-@\[-`{-~]", lambda sign: f"&#{ord(sign[0])};", text.replace("$", "＄"))


class Figure:
    """A picture: SVG in a notebook, elsewhere the sentence that says what it shows."""

    def __init__(self, svg: str, sentence: str, table: Table) -> None:
        self.svg, self.sentence, self._table = svg, sentence, table

    def table(self) -> Table:
        """Return the data of the picture as a table that a notebook shows."""
        return self._table

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return {"image/svg+xml": self.svg, "text/plain": self.sentence}

    def __repr__(self) -> str:
        return self.sentence


# the pictures


def timeline(runs: Mapping[str, Number | Sequence[Number]], *, title: str | None = None) -> Figure:
    """Draw when the pieces of replies arrived: label to the seconds since the request of each piece.

    A reply of one number came whole.

    Raises:
        ChatkitError: nothing to draw, more than 12 runs, a number that is none, or seconds that go back.
    """
    found = [(label, _rising(seconds, label)) for label, seconds in _named(runs, "runs", MOST_ROWS)]
    head = [say("figure_label"), say("figure_first"), say("figure_end"), say("figure_pieces")]
    rows = [[label, _seconds(s[0]), _seconds(s[-1]), say("figure_count", n=f"{len(s):,}")] for label, s in found]
    # Many runs leave fewer bytes for the ticks of each.
    canvas, apart = _Canvas(title), max(3, len(found) // 2)
    at = _time_axis(canvas, max(seconds[-1] for _, seconds in found), len(found))
    for row, (_, seconds) in zip(rows, found, strict=True):
        y, wait = canvas.lane(row[0], _details(head, row, " · ")), at(seconds[0]) - MARGIN
        canvas.box(MARGIN, y, wait, 16, _PALE, **_DASHED)
        canvas.within(MARGIN, wait, y + 12, say("figure_waiting"))
        canvas.mark("path", d=_ticked(map(at, seconds), y + 8, apart), stroke=_BLUE, stroke_width=16)
    return canvas.figure(26, [say("figure_timeline", n=len(rows)), *_told(head, rows)], Table(head, rows))


def _ticked(places: Iterable[float], y: int, apart: int) -> str:
    """Return a path with a tick at each place; ticks closer than `apart` pixels become one block."""
    first, *others = map(round, places)
    path, start, stop = f"M{first - 1} {y}", first, first
    for x in others:
        if x - stop >= apart:
            path += f"h{stop - start + 2}m{x - stop - 2} 0"
            start = x
        stop = x
    return f"{path}h{stop - start + 2}"


def attempts(steps: Sequence[tuple[int, Number, object, Number | None]], *, title: str | None = None) -> Figure:
    """Draw the attempts of a request and the waits between them.

    A step is `(number, seconds, outcome, seconds until the next or None)`. An outcome that begins with a 2xx
    status is a success, any other a failure.

    Raises:
        ChatkitError: nothing to draw, more than 12 steps, or a step of another form.
    """
    found = [_step(step, f"steps[{n}]") for n, step in enumerate(_items(steps, "steps", MOST_ROWS))]
    head = [say("figure_try"), say("figure_took"), say("figure_outcome"), say("figure_wait")]
    total, x, canvas = sum((took + wait for _, took, wait in found), Decimal()), Decimal(), _Canvas(title)
    at = _time_axis(canvas, total, len(found))
    for row, took, wait in found:
        number, lasted, outcome, waiting = row
        y = canvas.lane(f"{number} {outcome}", f"{head[1]} {lasted} · {head[3]} {waiting}")
        start, end, x = at(x), at(x + took), x + took + wait
        canvas.box(start, y, end - start, 16, _GOOD if outcome.startswith("✓") else _BAD)
        canvas.within(start, end - start, y + 12, lasted)
        if wait:
            canvas.line(end, y + 15, at(x), y + 15, _EDGE, **_DASHED)
            canvas.within(end, at(x) - end, y + 11, waiting)
    rows = [row for row, *_ in found]
    said = [say("figure_tries", n=len(rows), total=_seconds(total)), *_told(head, rows)]
    return canvas.figure(26, said, Table(head, rows))


def _step(step: Any, where: str) -> tuple[_Row, Decimal, Decimal]:
    try:
        number, seconds, outcome, wait = step
    except (TypeError, ValueError):
        raise ChatkitError(say("figure_bad_step", where=where, got=_short(step))) from None
    success, took = re.match(r"2\d\d\b", str(outcome)), _number(seconds, where)
    words = say("figure_success" if success else "figure_failure", outcome=_label(outcome))
    pause = Decimal() if wait is None else _number(wait, where)
    waiting = say("figure_none") if wait is None else _seconds(pause)
    return [say("figure_nth", n=_whole(number, where)), _seconds(took), words, waiting], took, pause


def tokens(pieces: Sequence[bytes], *, title: str | None = None) -> Figure:
    """Draw the tokens of a text in boxes, at most 200; one that is part of a letter is shown as its bytes.

    Raises:
        ChatkitError: no tokens, or one that is not bytes.
    """
    found = [_token(piece, f"pieces[{n}]") for n, piece in enumerate(_items(pieces, "pieces"))]
    shown = found[: _affordable(found)]
    canvas = _Canvas(title)
    canvas.marks.append(f'<g font-size="16">{_boxes(canvas, shown)}</g>')
    notes = _notes(shown, len(found) - len(shown))
    for note in notes:
        canvas.text(MARGIN, canvas.top + 14, note, size=12)
        canvas.top += 18
    head = [say("figure_number"), say("figure_token"), say("figure_bytes")]
    rows = [[str(n), text, raw.hex(" ").upper()] for n, (raw, text, _) in enumerate(shown, 1)]
    said = [say("figure_tokens", n=f"{len(found):,}"), " / ".join(text for _, text, _ in shown) + ".", *notes]
    return canvas.figure(8, said, Table(head, rows))


class _Token(NamedTuple):
    raw: bytes
    text: str
    partial: bool


def _token(piece: Any, where: str) -> _Token:
    if not isinstance(piece, bytes) or not piece:
        raise ChatkitError(say("figure_bad_piece", where=where, got=_short(piece)))
    text = piece.decode("utf-8", "replace").replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    partial = "\ufffd" in text or not text.isprintable() or unicodedata.category(text[0]).startswith("M")
    text = piece.hex(" ").upper() if partial else re.sub(r"([␣⏎⇥])\1{3,}", lambda run: f"{run[1]}×{len(run[0])}", text)
    return _Token(piece, _shorten(text, 160, 16), partial)


def _affordable(found: Sequence[_Token]) -> int:
    """Return how many tokens fit into the picture: 200, or fewer where they are long."""
    spent = 0
    for n, token in enumerate(found[:MOST_TOKENS]):
        spent += 56 + 2 * len(escape(token.text).encode())
        if spent > _TOKEN_BYTES:
            return n
    return min(len(found), MOST_TOKENS)


def _boxes(canvas: _Canvas, shown: Sequence[_Token]) -> str:
    """Lay the tokens out in lines; return the boxes, in one path for each look, and the words in them."""
    paths, words, x = dict.fromkeys((*_FILLS[:2], _PALE), ""), "", MARGIN
    for n, (_, text, partial) in enumerate(shown):
        width = math.ceil(_width(text, 16)) + 8
        if x + width > WIDTH - MARGIN:
            x, canvas.top = MARGIN, canvas.top + 32
        paths[_PALE if partial else _FILLS[n % 2]] += f"M{x} {canvas.top}h{width}v25h-{width}z"
        words += f'<text x="{x + 4}" y="{canvas.top + 18}">{escape(text)}</text>'
        x += width + 2
    canvas.top += 36
    look = {fill: {"fill": fill, "stroke": _EDGE, **(_DASHED if fill == _PALE else {})} for fill in paths}
    return "".join(_element("path", d=path, **look[fill]) for fill, path in paths.items() if path) + words


def _notes(shown: Sequence[_Token], rest: int) -> list[str]:
    whole = "".join(text for _, text, partial in shown if not partial)
    signs = {"␣": say("figure_space"), "⏎": say("figure_newline"), "⇥": say("figure_tab")}
    legend = " · ".join(f"{sign} {name}" for sign, name in signs.items() if sign in whole)
    more = say("figure_more", n=f"{rest:,}") if rest else ""
    return [note for note in (more, legend, any(token.partial for token in shown) and say("figure_partial")) if note]


def bars(
    values: Mapping[str, Number], *, title: str | None = None, unit: str = "", digits: int | None = None
) -> Figure:
    """Draw one bar a value, with the value beside it; `digits` after the point, or as many as it needs.

    Raises:
        ChatkitError: nothing to draw, more than 12 bars, or a number that is none.
    """
    places = None if digits is None else min(_whole(digits, "digits"), 9)
    found = [(label, _number(value, label)) for label, value in _named(values, "values", MOST_ROWS)]
    rows = [[label, f"{_written(value, places)} {_clean(unit)[:12]}".rstrip()] for label, value in found]
    canvas, largest = _Canvas(title), max(value for _, value in found) or 1
    names, beside = (max(map(_width, column)) for column in zip(*rows, strict=True))
    room = min(names, 200, INNER - 60 - beside)
    left, full = MARGIN + 8 + room, INNER - 14 - room - beside
    for (label, words), (_, value) in zip(rows, found, strict=True):
        length = full * float(value / largest)
        canvas.text(left - 8, canvas.top + 17, label, room=room, text_anchor="end")
        canvas.box(left, canvas.top + 3, length, 19, _FILLS[0])
        canvas.text(left + length + 6, canvas.top + 17, words)
        canvas.top += 28
    said = say("figure_bars", bars=", ".join(" ".join(row) for row in rows))
    return canvas.figure(8, [said], Table([say("figure_label"), say("figure_value")], rows))


def lines(series: Mapping[str, Sequence[Number]], *, title: str | None = None, x: str = "", y: str = "") -> Figure:
    """Draw one line a series over 1, 2, … n, with its name and its last value at its end; the scale begins at 0.

    Raises:
        ChatkitError: nothing to draw, more than 6 lines or 1,000 points, or a number that is none.
    """
    found = [(label, _numbers(values, label)) for label, values in _named(series, "series", MOST_LINES)]
    longest = max(len(values) for _, values in found)
    _at_most(MOST_POINTS, sum(len(values) for _, values in found), "series")
    canvas = _Canvas(title)
    plot = _plot(canvas, found, _label(x), _label(y))
    beside = _spread([plot.height(values[-1]) for _, values in found], plot.top, plot.bottom, 18)
    for look, (label, values), level in zip(_STROKES, found, beside, strict=False):
        _line(canvas, plot, look, label, values, level)
    head = [_label(x) or say("figure_number"), *(label for label, _ in found)]
    rows = [[f"{n + 1}", *(_written(v[n]) if n < len(v) else "-" for _, v in found)] for n in range(longest)]
    return canvas.figure(0, [_course(label, values) for label, values in found], Table(head, rows))


def _course(label: str, values: Sequence[Decimal]) -> str:
    first, last, most = map(_written, (values[0], values[-1], max(values)))
    return say("figure_line", label=label, first=first, n=f"{len(values):,}", last=last, most=most)


class _Plot(NamedTuple):
    """Where points lie: `steps` from the first to the last of a line, `most` at the top."""

    left: float
    right: float
    top: float
    bottom: float
    steps: int
    most: Decimal

    def place(self, n: int) -> float:
        return self.left + (self.right - self.left) * n / self.steps

    def height(self, value: Decimal) -> float:
        return self.bottom - (self.bottom - self.top) * float(value / self.most)


def _plot(canvas: _Canvas, found: Sequence[tuple[str, list[Decimal]]], x: str, y: str) -> _Plot:
    """Draw the axes and return the plot between them."""
    levels, n = _ticks(max(max(values) for _, values in found)), max(len(values) for _, values in found)
    names = max(_width(f"{label} {_written(values[-1])}") for label, values in found)
    left, right = MARGIN + 10 + max(map(_width, levels.values())), WIDTH - MARGIN - 32 - min(names, 210)
    canvas.text(MARGIN, canvas.top + 10, y, size=12)
    top = canvas.top + (26 if y else 8)
    plot = _Plot(left, right, top, top + 200, max(n - 1, 1), max(levels))
    for level, words in levels.items():
        canvas.line(left, plot.height(level), right, plot.height(level), _GRID)
        canvas.text(left - 10, plot.height(level) + 4, words, size=11, text_anchor="end")
    for turn in sorted({1, n, *(int(tick) for tick in _ticks(Decimal(n)) if 1 < tick < 0.95 * n)}):
        canvas.text(plot.place(turn - 1), plot.bottom + 18, f"{turn:,}", size=11, text_anchor="middle")
    canvas.text((left + right) / 2, plot.bottom + 36, x, size=12, room=right - left, text_anchor="middle")
    canvas.top = plot.bottom + (46 if x else 28)
    return plot


def _line(
    canvas: _Canvas, plot: _Plot, look: tuple[str, str, str], label: str, values: Sequence[Decimal], level: float
) -> None:
    (colour, dashes, shape), last, end = look, _written(values[-1]), plot.right + 18
    points = [f"{_px(plot.place(n))} {_px(plot.height(value))}" for n, value in enumerate(values)]
    canvas.mark("path", d="M" + "L".join(points), fill="none", stroke=colour, stroke_width=2, stroke_dasharray=dashes)
    canvas.line(plot.place(len(values) - 1), plot.height(values[-1]), end, level, colour, stroke_dasharray="1 3")
    marked = [*points[:: max(1, len(points) // 8)], points[-1], f"{_px(end)} {_px(level)}"]
    canvas.mark("path", d="".join(f"M{point}{shape}" for point in marked), fill=_WHITE, stroke=colour)
    canvas.text(end + 10, level + 4, label, room=WIDTH - MARGIN - end - 10 - _width(f" {last}"))
    canvas.text(WIDTH - MARGIN, level + 4, last, text_anchor="end")


def _spread(wanted: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Move heights apart until labels fit, from the top down and then from the bottom up."""
    placed, order = list(wanted), sorted(range(len(wanted)), key=lambda n: wanted[n])
    for n in order:
        placed[n] = low = max(placed[n], low)
        low += gap
    for n in reversed(order):
        placed[n] = high = min(placed[n], high)
        high -= gap
    return placed


def window(parts: Mapping[str, int], limit: int, *, title: str | None = None) -> Figure:
    """Draw a context window as one bar: the tokens of its parts, the limit, what is free or too much.

    Raises:
        ChatkitError: nothing to draw, more than 12 parts, a number that is not whole, or a limit of 0.
    """
    used = [(label, _whole(size, label)) for label, size in _named(parts, "parts", MOST_ROWS)]
    sizes, most = [size for _, size in used], _whole(limit, "limit", 1)
    total, canvas = sum(sizes), _Canvas(title)
    rest = (say("figure_free" if total <= most else "figure_over"), abs(most - total))
    rows = [[label, f"{size:,}", f"{100 * size / most:,.1f}%"] for label, size in (*used, rest)]
    _stack(canvas, sizes, most)
    _legend(canvas, rows)
    head = [say("figure_part"), say("figure_token"), say("figure_share")]
    said = [say("figure_window", limit=f"{most:,}", total=f"{total:,}"), *_told(head, rows)]
    return canvas.figure(8, said, Table(head, rows))


def _stack(canvas: _Canvas, sizes: Sequence[int], limit: int) -> None:
    scale, y, x = INNER / max(sum(sizes), limit), canvas.top + 22, float(MARGIN)
    edge, end = x + limit * scale, x + sum(sizes) * scale
    canvas.box(x, y, INNER, 32, _WHITE, **_DASHED)
    for n, size in enumerate(sizes):
        canvas.box(x, y, size * scale, 32, _FILLS[n % len(_FILLS)])
        canvas.within(x, size * scale, y + 16, str(n + 1))
        x += size * scale
    if sum(sizes) > limit:
        hatch = "".join(f"M{at} {y + 21}v11" for at in range(math.ceil(edge) + 2, math.floor(end), 4))
        canvas.mark("path", d=hatch or "M0 0", stroke=_RED, stroke_width=2)
    canvas.line(edge, y - 6, edge, y + 38, _INK, stroke_width=2)
    anchor = "end" if edge > WIDTH / 2 else "start"
    canvas.text(edge, y - 10, say("figure_limit", limit=f"{limit:,}"), size=12, text_anchor=anchor)
    canvas.top = y + 48


def _legend(canvas: _Canvas, rows: Sequence[_Row]) -> None:
    names, sizes, shares = (max(map(_width, column)) for column in zip(*rows, strict=True))
    room = min(names, INNER - 60 - sizes - shares)
    end = MARGIN + 48 + room + sizes
    for n, (label, size, share) in enumerate(rows, 1):
        last = n == len(rows)
        canvas.box(
            MARGIN, canvas.top, 20, 18, _WHITE if last else _FILLS[(n - 1) % len(_FILLS)], **_DASHED if last else {}
        )
        canvas.within(MARGIN, 20, canvas.top + 13, "" if last else str(n))
        canvas.text(MARGIN + 28, canvas.top + 14, label, room=room)
        canvas.text(end, canvas.top + 14, size, text_anchor="end")
        canvas.text(end + 12, canvas.top + 14, share, size=12)
        canvas.top += 24


# what they are drawn with


class _Canvas:
    """Collects the marks of a picture from the top down; `top` is where the next may begin."""

    def __init__(self, title: str | None) -> None:
        self.marks: list[str] = []
        self._title = _label(title or "")
        # Bold is a tenth wider than the estimate.
        self.text(MARGIN, 26, self._title, size=16, room=INNER * 0.9, font_weight="bold")
        self.top: float = 42 if self._title else 12

    def mark(self, kind: str, **attributes: Any) -> None:
        self.marks.append(_element(kind, **attributes))

    def box(self, x: float, y: float, width: float, height: float, fill: str, **attributes: Any) -> None:
        # Even nothing leaves a trace, or its label would point to nowhere.
        self.mark("rect", x=x, y=y, width=max(width, 1.0), height=height, fill=fill, stroke=_EDGE, **attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, **attributes: Any) -> None:
        self.mark("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)

    def text(self, x: float, y: float, words: str, *, room: float = INNER, size: int = 13, **attributes: Any) -> None:
        shown = _shorten(words, room, size)
        full = f"<title>{escape(words, quote=False)}</title>" if shown != words else ""
        if words:
            self.marks.append(
                _element("text", full + escape(shown, quote=False), x=x, y=y, font_size=size, **attributes)
            )

    def within(self, x: float, width: float, y: float, words: str) -> None:
        """Write into the middle of a space, if there is room."""
        if width > _width(words, 11) + 6:
            self.text(x + width / 2, y, words, size=11, text_anchor="middle")

    def lane(self, left: str, right: str) -> int:
        """Write what belongs to a lane above it, and return the top of the lane, which is 16 high."""
        self.text(MARGIN, self.top + 15, left, room=INNER - _width(right, 12) - 16)
        self.text(WIDTH - MARGIN, self.top + 15, right, size=12, text_anchor="end")
        self.top += 46
        return round(self.top) - 24

    def figure(self, space: float, said: Sequence[str], table: Table) -> Figure:
        """Return what was drawn, with some space below it."""
        sentence = " ".join([f"「{self._title}」"] * bool(self._title) + list(said))
        size: dict[str, Any] = {"width": WIDTH, "height": round(self.top + space)}
        look = {"role": "img", "aria_label": sentence, "font_family": _FONT, "fill": _INK}
        ground = _element("rect", **size, fill=_WHITE)
        frame = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {size['height']}"}
        svg = _element("svg", ground + "".join(self.marks), **frame, **size, **look)
        return Figure(svg, sentence, table)


def _time_axis(canvas: _Canvas, longest: Decimal, lanes: int) -> Callable[[Decimal], float]:
    """Draw a scale of seconds behind the lanes, and return where a moment lies on it."""
    ticks = _ticks(longest)
    end, bottom = max(ticks), canvas.top + 46 * lanes

    def at(moment: Decimal) -> float:
        return MARGIN + INNER * float(moment / end)

    for tick, words in ticks.items():
        canvas.line(at(tick), canvas.top, at(tick), bottom, _GRID)
        anchor = "end" if tick == end else "middle" if tick else "start"
        canvas.text(at(tick), bottom + 16, say("figure_seconds", n=words), room=75, size=11, text_anchor=anchor)
    return at


def _ticks(largest: Decimal) -> dict[Decimal, str]:
    """Return 0 and up to five steps of 1, 2 or 5 times a power of ten, the last at or past the largest, as written."""
    largest = largest or Decimal(1)
    rough = largest / 5
    steps = (Decimal(digit).scaleb(rough.adjusted()) for digit in (1, 2, 5, 10))
    step = next(step for step in steps if step >= rough)
    digits = -step.adjusted() if -9 <= step.adjusted() < 0 else 0
    return {step * n: _written(step * n, digits) for n in range(math.ceil(largest / step) + 1)}


def _written(value: Decimal, digits: int | None = None) -> str:
    """Return a number with `digits` after the point, or else with the four that count."""
    if value and value.adjusted() < -9:
        return f"{value:.2e}"
    if digits is not None:
        return f"{value:,.{digits}f}"
    text = f"{value:,.{max(0, 3 - value.adjusted()) if value else 0}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _seconds(value: Decimal) -> str:
    return say("figure_seconds", n=_written(value, None if 0 < value < Decimal("0.1") else 2))


def _details(head: _Row, row: _Row, between: str) -> str:
    return between.join(f"{name} {cell}" for name, cell in zip(head[1:], row[1:], strict=True))


def _told(head: _Row, rows: Iterable[_Row]) -> list[str]:
    return [f"{row[0]}: {_details(head, row, ', ')}." for row in rows]


# what they are given


def _named(found: Any, where: str, most: int) -> list[tuple[str, Any]]:
    if not isinstance(found, Mapping):
        raise ChatkitError(say("figure_not_mapping", where=where, got=_short(found)))
    return [(_label(label), value) for label, value in _items(found.items(), where, most)]


def _items(found: Any, where: str, most: int | None = None) -> list[Any]:
    items = list(found) if isinstance(found, Iterable) else [found]
    if not items:
        raise ChatkitError(say("figure_empty", where=where))
    _at_most(most, len(items), where)
    return items


def _at_most(most: int | None, n: int, where: str) -> None:
    if most is not None and n > most:
        raise ChatkitError(say("figure_too_many", where=where, most=f"{most:,}", n=f"{n:,}"))


def _numbers(values: Any, where: str) -> list[Decimal]:
    return [_number(value, where) for value in _items(values, where)]


def _rising(values: Any, where: str) -> list[Decimal]:
    seconds = _numbers(values, where)
    if seconds != sorted(seconds):
        raise ChatkitError(say("figure_falling", where=where))
    return seconds


def _number(value: Any, where: str) -> Decimal:
    try:
        number = Decimal(str(value)) if isinstance(value, Real | Decimal) else Decimal("NaN")
    except (ArithmeticError, ValueError):  # True, a fraction, an integer too long to write
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= LARGEST:
        raise ChatkitError(say("figure_bad_number", where=where, got=_short(value)))
    return abs(number)


def _whole(value: Any, where: str, least: int = 0) -> int:
    number = _number(value, where)
    if number % 1 or number < least:
        raise ChatkitError(say("figure_not_whole", where=where, least=least, got=_short(value)))
    return int(number)


# text


def _short(value: object) -> str:
    try:
        return _shorten(_clean(reprlib.repr(value)), 400)
    except ValueError:  # an integer too long to write
        return type(value).__name__


def _label(text: object) -> str:
    return text if len(text := _clean(text)) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _clean(text: object) -> str:
    # Nothing that XML forbids, nor what turns the direction of a text; the joiner holds an emoji together.
    return "".join(sign for sign in " ".join(str(text).split()) if sign.isprintable() or sign == "\u200d")


def _shorten(text: str, room: float, size: float = 13) -> str:
    if _width(text, size) <= room:
        return text
    while text and _width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _width(text: str, size: float = 13) -> float:
    """Return about how wide a text is drawn, in pixels: rather too much than too little."""
    return size * sum(map(_em, text))


def _em(sign: str) -> float:
    if sign >= "\U0001f000":
        return 1.4
    if unicodedata.combining(sign) or sign in "\u200d\ufe0f":
        return 0.4 if sign == "\ufe0f" else 0.0  # what asks for an emoji makes it wider
    if unicodedata.east_asian_width(sign) in "WFA" or unicodedata.category(sign) == "So":
        return 1.0
    return 0.4 if sign in " .,:;'|!()[]ijlI" else 1.0 if sign in "mwMW@%" else 0.75 if sign.isupper() else 0.62


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _element(kind: str, inner: str = "", /, **attributes: Any) -> str:
    written = (
        f' {name.replace("_", "-")}="{_px(value) if isinstance(value, float) else escape(str(value))}"'
        for name, value in attributes.items()
    )
    return f"<{kind}{''.join(written)}" + (f">{inner}</{kind}>" if inner else "/>")
