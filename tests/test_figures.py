"""Pictures that any page shows, that say in words what they show, and that look the same each time."""

from __future__ import annotations

import itertools
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import ChatkitError, figures
from chatkit.figures import Figure

SVG = "{http://www.w3.org/2000/svg}"
LONG = "아주 긴 이름을 가진 모델의 답을 <스트리밍>으로 받아 본 경우 & 그 밖의 경우를 모두 합친 것"
KOREAN = [
    b"\xec\x95\x88",
    b"\xeb\x85\x95\xed\x95\x98\xec\x84\xb8\xec\x9a\x94",
    b" \xeb",
    b"\xb7\x81",
    b"\n\t",
    b" " * 7,
]
MANY = [n / 5_000 for n in range(10_000)]
SPARSE = [n / 100 for n in range(1, 101)]  # six pixels apart: as many ticks as there can be in each of 12 runs
DENSE = [n / 200 for n in range(1, 201)]
SIGNS = "&" * 40

EXAMPLES: dict[str, Callable[[], Figure]] = {
    "timeline": lambda: figures.timeline({"스트리밍": [0.42, 0.9, 2.1], "한꺼번에": 2.05}, title="첫 조각은 언제?"),
    "a timeline of 12 full runs": lambda: figures.timeline({f"{n}{SIGNS}": SPARSE for n in range(12)}, title=SIGNS),
    "a timeline of 12 fuller runs": lambda: figures.timeline({f"{n}{SIGNS}": DENSE for n in range(12)}, title=SIGNS),
    "a timeline of 10,000 pieces": lambda: figures.timeline({"한 번": MANY}),
    "a timeline of nothing": lambda: figures.timeline({"": [0, 0.0]}),
    "a timeline of ages": lambda: figures.timeline({"짧음": [1e-6], "김": [1e12, 1e15]}),
    "attempts": lambda: figures.attempts([(1, 0.21, "429", 0.5), (2, 0.2, "timeout", 1), (3, 0.31, 200, None)]),
    "long attempts": lambda: figures.attempts([(n, 600, f"500 {SIGNS}", 1e-5) for n in range(12)], title=SIGNS),
    "tokens": lambda: figures.tokens(KOREAN, title="토큰"),
    "10,000 tokens": lambda: figures.tokens([*KOREAN, b"dog."] * 2_000, title=LONG),
    "tokens of signs": lambda: figures.tokens([b"&<&<&<&<" * 9] * 300),
    "bars": lambda: figures.bars({"gpt-6-luna": Decimal("0.0000283"), "gpt-4o": 0.000575}, unit="USD", title="비용"),
    "huge and tiny bars": lambda: figures.bars({LONG: 1e15, "b": 1e-300, "c": 0}, unit="🙂" * 20, digits=9),
    "a bar of nothing": lambda: figures.bars({"없음": 0}),
    "lines": lambda: figures.lines({"자르기 없음": [1, 3, 6, 10], "자름": [1, 2.5]}, x="턴", y="USD", title="비용"),
    "lines of 1,000 points": lambda: figures.lines({f"{n}{SIGNS}": range(166) for n in range(6)}, x=SIGNS, y=LONG),
    "lines that end together": lambda: figures.lines({f"{n}": [0, 1e15, 5] for n in range(6)}),
    "lines of next to nothing": lambda: figures.lines({"a": [5e-324], "b": [0]}),
    "a line of one point": lambda: figures.lines({"하나": 5}),
    "window": lambda: figures.window({"시스템 메시지": 1_200, "대화 기록": 3_600}, 8_000, title="컨텍스트 창"),
    "a full window": lambda: figures.window({f"{n}{SIGNS}": 10**15 for n in range(12)}, 1),
}
LABELS = st.text(max_size=60) | st.sampled_from([LONG, "W" * 60, "👩‍👩‍👧‍👦 가족", "x\x00y\ud800", "i" * 60])
NUMBERS = st.floats(0, 1e15) | st.integers(0, 10**15) | st.decimals(0, 10**15, places=4)


def shown(figure: Figure) -> ET.Element:
    return ET.fromstring(figure._repr_mimebundle_()["image/svg+xml"])


def texts(figure: Figure) -> list[str]:
    """Return the texts as they are drawn, without what a pointer over them shows."""
    return [drawn for drawn, *_ in boxes(figure)]


def marks(figure: Figure, kind: str, **attributes: str) -> list[ET.Element]:
    return [mark for mark in shown(figure).iter(SVG + kind) if attributes.items() <= mark.attrib.items()]


def em(sign: str) -> float:
    if unicodedata.category(sign) in ("Mn", "Cf"):
        return 0
    return 1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.3 if sign in " .,:;'|!()[]ijlI" else 0.55


def boxes(figure: Figure) -> Iterator[tuple[str, float, float, float, float]]:
    """Yield every text with its left, right, top and bottom, by an estimate of its width."""
    group = {text: mark.get("font-size") for mark in shown(figure).iter(SVG + "g") for text in mark.itertext()}
    for text in shown(figure).iter(SVG + "text"):
        drawn = "".join([text.text or "", *(child.tail or "" for child in text)])
        size = float(text.get("font-size") or group[drawn])
        width, x, y = size * sum(map(em, drawn)), float(text.get("x")), float(text.get("y"))
        left = x - width * {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor"), 0.0)
        yield drawn, left, left + width, y - 0.7 * size, y


def is_sound(figure: Figure) -> None:
    """Check what holds for every picture, whatever is in it."""
    _, _, width, height = map(float, shown(figure).get("viewBox").split())
    found = list(boxes(figure))
    assert all(left >= 0 and right <= width and top >= 0 and bottom <= height for _, left, right, top, bottom in found)
    for one, other in itertools.combinations(found, 2):
        apart = one[2] <= other[1] or other[2] <= one[1] or one[4] <= other[3] or other[4] <= one[3]
        assert apart, (one, other)
    assert 0 < len(figure.svg.encode()) <= 20_000


def columns(figure: Figure) -> list[list[str]]:
    """Return the cells of the table's Markdown."""
    markdown = figure.table()._repr_mimebundle_()["text/markdown"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.split("\n")]


# every picture


@pytest.fixture(params=EXAMPLES)
def draw(request: pytest.FixtureRequest) -> Callable[[], Figure]:
    return EXAMPLES[request.param]


def test_a_sanitiser_finds_nothing_to_strip(draw: Callable[[], Figure]) -> None:
    for mark in shown(draw()).iter():
        assert mark.tag.removeprefix(SVG) in {"svg", "g", "rect", "line", "path", "text", "title"}
        assert not mark.attrib.keys() & {"style", "id", "class", "href"}
        assert not any(name.startswith("on") for name in mark.attrib)


def test_a_picture_is_white_below_and_never_wider_than_a_page(draw: Callable[[], Figure]) -> None:
    whole = shown(draw())
    ground = whole[0]
    assert (ground.tag, ground.get("fill"), ground.get("width")) == (SVG + "rect", "#ffffff", "640")
    assert whole.get("viewBox") == f"0 0 640 {ground.get('height')}"


def test_every_text_has_room_and_the_picture_is_small(draw: Callable[[], Figure]) -> None:
    is_sound(draw())


def test_a_picture_is_the_same_twice(draw: Callable[[], Figure]) -> None:
    assert draw()._repr_mimebundle_() == draw()._repr_mimebundle_()
    assert repr(draw().table()) == repr(draw().table())


def test_a_notebook_gets_the_picture_and_the_sentence_and_nothing_else(draw: Callable[[], Figure]) -> None:
    figure = draw()
    bundle = figure._repr_mimebundle_()
    assert bundle.keys() == {"image/svg+xml", "text/plain"}
    assert bundle["text/plain"] == repr(figure) == shown(figure).get("aria-label")
    assert shown(figure).get("role") == "img"


def test_text_stands_out_from_what_is_behind_it(draw: Callable[[], Figure]) -> None:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    ink = light(shown(draw()).get("fill"))
    assert not any(text.get("fill") for text in marks(draw(), "text"))
    for fill in {rect.get("fill") for rect in marks(draw(), "rect")}:
        assert (light(fill) + 0.05) / (ink + 0.05) >= 4.5


def test_the_table_holds_what_the_sentence_says(draw: Callable[[], Figure]) -> None:
    head, rule, *rows = columns(draw())
    assert rows
    assert {len(head), len(rule)} | {len(row) for row in rows} == {len(head)}
    assert len(repr(draw().table()).split("\n")) == 1 + len(rows)


@given(LABELS, LABELS, st.lists(NUMBERS, min_size=1, max_size=6))
def test_any_label_and_any_number_fit(label: str, title: str, numbers: list[Any]) -> None:
    rows = {f"{label}{n}": number for n, number in enumerate(numbers)}
    is_sound(figures.timeline({name: [number] for name, number in rows.items()}, title=title))
    is_sound(figures.attempts([(1, number, label, number) for number in numbers], title=title))
    is_sound(figures.bars(rows, unit=label, title=title))
    is_sound(figures.lines(dict.fromkeys(rows, numbers), x=label, y=title))
    is_sound(figures.window({name: int(number) for name, number in rows.items()}, max(1, int(numbers[0])), title=title))


@given(
    st.lists(st.binary(min_size=1) | st.text(min_size=1).map(lambda text: text.encode("utf-8", "replace"))).filter(bool)
)
def test_any_tokens_fit(pieces: list[bytes]) -> None:
    is_sound(figures.tokens(pieces))


def test_signs_of_markup_are_shown_as_they_are() -> None:
    figure = figures.bars({"<b>&'\"": 1})
    assert texts(figure)[0] == "<b>&'\""
    assert "<b>&'\"" in repr(figure)


def test_signs_that_break_a_picture_are_left_out() -> None:
    assert texts(figures.bars({"가\x00나\x1b\ud800\u202e\ufffe\n다": 1}))[0] == "가나 다"


def test_a_long_label_is_shortened_and_shown_under_the_pointer() -> None:
    (label,) = [text for text in marks(figures.bars({"W" * 39: 1}), "text") if len(text)]
    assert label[0].tag == SVG + "title"
    assert label[0].text == "W" * 39
    assert label[0].tail.endswith("W…")


def test_a_table_shows_signs_of_markdown_as_they_are() -> None:
    figure = figures.bars({"a|b <i>_c_</i> `d` \\ $e$": 1})
    label = columns(figure)[2][0]
    assert not set("<>|_`\\$") & set(label)
    assert label.startswith("a&#124;b &#60;i&#62;")
    assert "a|b <i>_c_</i> `d` \\ $e$ " in repr(figure.table())


def test_the_columns_of_a_table_of_text_are_in_line() -> None:
    lines = repr(figures.bars({"가나다": 1, "ab": 1_000}).table()).split("\n")
    assert lines == ["이름     크기", "가나다      1", "ab      1,000"]


# timeline


def test_a_timeline_says_when_the_first_and_the_last_piece_came() -> None:
    figure = EXAMPLES["timeline"]()
    assert repr(figure) == (
        "「첫 조각은 언제?」 답 2개의 조각이 도착한 때입니다. 스트리밍: 첫 조각 0.42초, 끝 2.10초, 조각 3개. "
        "한꺼번에: 첫 조각 2.05초, 끝 2.05초, 조각 1개."
    )
    assert "첫 조각 0.42초 · 끝 2.10초 · 조각 3개" in texts(figure)
    assert columns(figure)[2:] == [["스트리밍", "0.42초", "2.10초", "3개"], ["한꺼번에", "2.05초", "2.05초", "1개"]]


def test_each_piece_is_a_tick_in_its_place() -> None:
    (path,) = marks(figures.timeline({"": [0.5, 1, 2]}), "path")
    assert re.fullmatch(r"M169 \d+h2m148 0h2m298 0h2", path.get("d"))


def test_pieces_closer_than_the_eye_can_tell_are_one_block() -> None:
    figure = figures.timeline({"": [1, *(1 + n / 10_000 for n in range(10_000)), 2]})
    (path,) = marks(figure, "path")
    assert re.fullmatch(r"M319 \d+h302", path.get("d"))
    assert "조각 10,002개" in repr(figure)


def test_runs_share_one_scale_of_round_seconds() -> None:
    assert texts(figures.timeline({"": [0.3], "b": [2.3]}))[:6] == [
        "0.0초",
        "0.5초",
        "1.0초",
        "1.5초",
        "2.0초",
        "2.5초",
    ]


# attempts


def test_attempts_are_told_with_their_waits() -> None:
    figure = EXAMPLES["attempts"]()
    assert repr(figure).startswith("모두 3번 시도했고 2.22초가 걸렸습니다. 1번째: 걸린 시간 0.21초, 결과 ✗ 실패 429, ")
    assert columns(figure)[0] == ["시도", "걸린 시간", "결과", "다음까지 기다림"]
    assert columns(figure)[-1] == ["3번째", "0.31초", "✓ 성공 200", "없음"]


def test_an_attempt_begins_where_the_wait_before_it_ends() -> None:
    figure = figures.attempts([(1, 1, "500", 2), (2, 1, "200 OK", 0), (3, 1, "2000", None)])
    _ground, *bars = marks(figure, "rect")
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [("20", "120"), ("380", "120"), ("500", "120")]
    (wait,) = marks(figure, "line", **{"stroke-dasharray": "4 3"})
    assert (wait.get("x1"), wait.get("x2")) == ("140", "380")
    assert [row[2] for row in columns(figure)[2:]] == ["✗ 실패 500", "✓ 성공 200 OK", "✗ 실패 2000"]


# tokens


def test_spaces_and_line_ends_of_tokens_can_be_seen() -> None:
    figure = figures.tokens([b" the", b"\n\t", b" " * 7])
    assert texts(figure) == ["␣the", "⏎⇥", "␣×7", "␣ 빈칸 · ⏎ 줄바꿈 · ⇥ 탭"]


@pytest.mark.parametrize(
    "piece", [b"\xec\x95", b" \xeb", b"\xe2\x80\x8d", b"\xef\xb8\x8f", b"\x00", b"\r", b"\xc2\xa0", b"\xef\xbf\xbe"]
)
def test_what_is_no_whole_letter_is_shown_as_its_bytes(piece: bytes) -> None:
    figure = figures.tokens([b"a", piece])
    assert texts(figure)[:2] == ["a", piece.hex(" ").upper()]
    assert texts(figure)[-1].startswith("점선 상자: 글자의 일부")
    assert len(marks(figure, "path", **{"stroke-dasharray": "4 3"})) == 1


def test_whole_letters_need_no_word_about_bytes() -> None:
    assert texts(figures.tokens(["안".encode(), "🙂".encode(), "❤️".encode()])) == ["안", "🙂", "❤️"]


def test_neighbouring_tokens_look_different_and_no_token_is_lost() -> None:
    figure = figures.tokens(KOREAN)
    paths = marks(figure, "path")
    assert len({path.get("fill") for path in paths}) == 3
    assert sum(path.get("d").count("z") for path in paths) == len(KOREAN)
    assert bytes.fromhex("".join(row[2] for row in columns(figure)[2:])) == b"".join(KOREAN)
    assert repr(figure).startswith("토큰은 모두 6개입니다. 안 / 녕하세요 / 20 EB / B7 81 / ⏎⇥ / ␣×7.")


def test_of_a_long_text_the_rest_is_counted() -> None:
    figure = figures.tokens([b"dog"] * 260)
    assert texts(figure).count("dog") == 200
    assert "그 밖에 60개" in texts(figure)
    assert "토큰은 모두 260개입니다." in repr(figure)
    assert "그 밖에 60개" in repr(figure)


# bars


def test_bars_are_as_long_as_their_values() -> None:
    _ground, *bars = marks(figures.bars({"a": 1, "b": Decimal("2"), "c": 4.0}), "rect")
    one, two, four = (float(bar.get("width")) for bar in bars)
    assert (two, four) == (pytest.approx(2 * one, abs=0.2), pytest.approx(4 * one, abs=0.2))


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [
        (1_234_567, None, "1,234,567"),
        (Decimal("0.0000283"), None, "0.0000283"),
        (0.1 + 0.2, None, "0.3"),
        (1_234.5678, None, "1,235"),
        (2 / 3, None, "0.6667"),
        (1e-12, None, "1.00e-12"),
        (5, 2, "5.00"),
        (-0.0, 1, "0.0"),
        (2.5, 0, "2"),
    ],
)
def test_a_value_is_written_with_the_digits_that_count(value: Any, digits: int | None, written: str) -> None:
    assert texts(figures.bars({"a": value}, digits=digits, unit="원")) == ["a", f"{written} 원"]


# lines


def test_lines_are_labelled_at_their_end_with_their_last_value() -> None:
    figure = EXAMPLES["lines"]()
    assert texts(figure)[-4:] == ["자르기 없음", "10", "자름", "2.5"]
    assert "자르기 없음: 첫째는 1, 마지막(4번째)은 10, 가장 클 때는 10입니다." in repr(figure)
    assert columns(figure)[0] == ["턴", "자르기 없음", "자름"]
    assert columns(figure)[-1] == ["4", "10", "-"]


def test_lines_differ_in_more_than_colour() -> None:
    figure = EXAMPLES["lines that end together"]()
    drawn = [path for path in marks(figure, "path") if path.get("fill") == "none"]
    points = [path for path in marks(figure, "path") if path.get("fill") != "none"]
    assert len({path.get("stroke-dasharray") for path in drawn}) == 6
    assert len({re.search(r"m.*?(?=M)", path.get("d"))[0] for path in points}) == 6


def test_a_line_runs_from_the_first_to_the_last_turn_on_a_scale_from_0() -> None:
    figure = figures.lines({"a": [0, 5, 10]})
    path = marks(figure, "path")[0]
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split()) for point in path.get("d")[1:].split("L"))
    assert (x2 - x1, y1 - y2) == (pytest.approx(x3 - x2, abs=0.2), pytest.approx(y2 - y3))
    grid = [float(line.get("y1")) for line in marks(figure, "line")]
    assert (y1, y3) == (max(grid), min(grid))
    assert {float(line.get("x2")) for line in marks(figure, "line")[:-1]} == {x3}


def test_the_first_and_the_last_turn_are_named_on_the_axis() -> None:
    assert texts(figures.lines({"a": range(12)}))[-6:-2] == ["1", "5", "10", "12"]
    assert texts(figures.lines({"a": range(41)}))[-7:-2] == ["1", "10", "20", "30", "41"]


# window


def test_a_window_says_what_is_left() -> None:
    figure = EXAMPLES["window"]()
    assert "한도는 8,000토큰이고 지금 4,800토큰입니다." in repr(figure)
    assert "한도 8,000" in texts(figure)
    assert columns(figure)[2:] == [
        ["시스템 메시지", "1,200", "15.0%"],
        ["대화 기록", "3,600", "45.0%"],
        ["남은 자리", "3,200", "40.0%"],
    ]


def test_a_window_that_is_too_full_shows_and_says_so() -> None:
    full, over = figures.window({"질문": 8_000}, 8_000), figures.window({"질문": 10_000}, 8_000)
    assert not marks(full, "path")
    assert columns(full)[-1] == ["남은 자리", "0", "0.0%"]
    (hatch,) = marks(over, "path")
    assert all(500 <= float(x) <= 620 for x in re.findall(r"M(\d+)", hatch.get("d")))
    assert columns(over)[-1] == ["한도를 넘은 양", "2,000", "25.0%"]
    assert "한도를 넘은 양: 토큰 2,000" in repr(over)


# what cannot be drawn

NO_NUMBERS = [-1, float("nan"), float("inf"), Decimal("sNaN"), 10**16, 10**5_000, "1", None, True, 1j, Fraction(1, 3)]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=itertools.count())
def test_only_numbers_from_0_are_drawn(value: Any) -> None:
    for draw in (
        lambda: figures.timeline({"스트리밍": [value]}),
        lambda: figures.bars({"스트리밍": value}),
        lambda: figures.lines({"스트리밍": [1, value]}),
        lambda: figures.window({"스트리밍": value}, 10),
        lambda: figures.attempts([(1, value, "스트리밍", None)]),
    ):
        with pytest.raises(ChatkitError, match=r"0 이상 1,000조 이하의 숫자가 와야 합니다. 들어온 것: .*고치고"):
            draw()


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: figures.timeline({}), "runs: 그릴 내용이 하나도 없습니다"),
        (lambda: figures.timeline({"빈 것": []}), "빈 것: 그릴 내용이 하나도 없습니다"),
        (lambda: figures.timeline({str(n): [1] for n in range(13)}), "runs: 한 그림에 12개까지 그릴 수 있는데 13개"),
        (lambda: figures.timeline({"거꾸로": [2, 1]}), "거꾸로: 도착한 때는 .*itertools.accumulate"),
        (lambda: figures.timeline([1, 2]), r"runs: 이름과 숫자를 짝지은 dict.*\[1, 2\]"),
        (lambda: figures.attempts([]), "steps: 그릴 내용이 하나도 없습니다"),
        (lambda: figures.attempts([(1, 2)]), r"steps\[0\]: \(시도 번호, 걸린 초, .*들어온 것: \(1, 2\)"),
        (lambda: figures.attempts([(1, 1, "200", None), 5]), r"steps\[1\]: .*들어온 것: 5"),
        (lambda: figures.attempts([(1.5, 1, "200", None)]), r"steps\[0\]: 0 이상의 정수가 와야 합니다"),
        (lambda: figures.attempts([(n, 1, "500", 1) for n in range(13)]), "steps: 한 그림에 12개까지"),
        (lambda: figures.tokens([]), "pieces: 그릴 내용이 하나도 없습니다"),
        (lambda: figures.tokens([b"a", "b"]), r"pieces\[1\]: 토큰은 비어 있지 않은 bytes.*'b'.*decode_tokens_bytes"),
        (lambda: figures.tokens([b""]), r"pieces\[0\]: 토큰은 비어 있지 않은 bytes"),
        (lambda: figures.bars({"a": 1}, digits=-1), "digits: 0 이상"),
        (lambda: figures.bars({"a": 1}, digits=1.5), "digits: 0 이상의 정수"),
        (lambda: figures.lines({str(n): [1] for n in range(7)}), "series: 한 그림에 6개까지"),
        (lambda: figures.lines({"a": [1] * 1_001}), "series: 한 그림에 1,000개까지 그릴 수 있는데 1,001개"),
        (lambda: figures.window({"a": 1}, 0), "limit: 1 이상의 정수가 와야 합니다. 들어온 것: 0"),
        (lambda: figures.window({"a": 1.5}, 10), "a: 0 이상의 정수가 와야 합니다. 들어온 것: 1.5"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_says_why(draw: Callable[[], Figure], said: str) -> None:
    with pytest.raises(ChatkitError, match=said):
        draw()
