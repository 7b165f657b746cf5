"""The workshop's guide, slides, seats and ledger; the gateway and the hub themselves are run by workshop/tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal

import course
import gate
import guide
import live
import pytest
import seats
import slides
import yaml
from browser import NoBrowser, chromium
from isolation import PROJECT
from ledger import Ledger, Limits, Spent, TooMany
from playwright.sync_api import sync_playwright
from room import Room

from chatkit import models, notebooks
from chatkit.errors import ChatkitError

WORKSHOP = PROJECT / "workshop"
LESSONS = course.lessons()
TEXT = guide.GUIDE.read_text(encoding="utf-8")
every_lesson = pytest.mark.parametrize("lesson", notebooks.lessons(PROJECT), ids=lambda path: path.stem)


def words(tmp_path, *changes):
    """Return guide.toml with some of its text replaced."""
    text = guide.WORDS.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    changed = tmp_path / "guide.toml"
    changed.write_text(text, encoding="utf-8")
    return changed


def test_the_guide_is_in_step_with_the_lessons():
    assert guide.filled(TEXT) == TEXT, "run: python start.py workshop guide"


def test_the_guide_says_the_minutes_that_the_lessons_say():
    for lesson in LESSONS:
        assert lesson.teaching + lesson.practice == lesson.minutes
        in_sections = sum(section.practice for section in lesson.sections)
        assert in_sections + lesson.exercises == max(lesson.practice, lesson.exercises)
        assert all(0 <= section.practice <= section.minutes for section in lesson.sections)


def test_a_reworded_prediction_loses_its_words_and_the_guide_says_so(tmp_path):
    changed = words(tmp_path, ('"무엇을 돌려줄까요?" =', '"무엇이 돌아올까요?" ='))
    with pytest.raises(course.OutOfStep, match=r"nothing to say at 1\.1: 무엇을 돌려줄까요\?"):
        guide.filled(TEXT, words=changed)


def test_words_for_a_prediction_that_is_gone_are_noticed(tmp_path):
    changed = words(tmp_path, ("[say]\n", '[say]\n"없는 질문일까요?" = "…"\n'))
    with pytest.raises(course.OutOfStep, match="no lesson asks: 없는 질문일까요"):
        guide.filled(TEXT, words=changed)


def test_a_plan_that_does_not_fit_its_day_is_noticed(tmp_path):
    changed = words(tmp_path, ('end = "12:00"', 'end = "10:00"'))
    with pytest.raises(course.OutOfStep, match=r"반나절.*after 10:00: take something out"):
        guide.filled(TEXT, words=changed)


def test_a_plan_or_a_cut_cannot_name_a_section_that_is_gone(tmp_path):
    changed = words(tmp_path, ('section = "3.5"', 'section = "3.9"'))
    with pytest.raises(course.OutOfStep, match=r"section 3\.9, which no lesson has"):
        guide.filled(TEXT, words=changed)


def test_every_command_of_the_guide_is_one_that_exists():
    commands = re.findall(r"python start\.py ([^\n`#]*)", TEXT)
    assert len(commands) > 10
    for command in {tuple(shlex.split(command)) for command in commands if command.strip()}:
        if command[0] == "workshop":
            known = subprocess.run(
                [sys.executable, "-P", str(WORKSHOP), command[1], "--help"], capture_output=True, text=True
            )
            assert known.returncode == 0, command
        else:
            assert command[0] in {"doctor", "wheels", "lab", "reset", "test", "lite"}, command
            assert all((PROJECT / name).exists() for name in command[1:] if "/" in name), command


def test_the_guides_links_lead_to_its_headings():
    headings = {
        heading.replace(":", "").replace(",", "").replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", TEXT, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def letters(text):
    return re.sub(r"[^가-힣]", "", text)


@every_lesson
def test_slides_hold_every_heading_question_and_change_of_a_lesson(lesson):
    seen = re.sub(r'<aside class="notes">.*?</aside>', "", slides.page(lesson), flags=re.S)
    text = letters(re.sub(r"<[^>]+>", "", seen))
    told = LESSONS[int(lesson.stem[:2]) - 1]
    for section in told.sections:
        assert letters(section.title) in text
        for prediction in section.predictions:
            assert letters(prediction.question.split("`")[-1]) in text
    assert text.count("바꿔보세요") >= sum(section.changes for section in told.sections)


@every_lesson
def test_an_answer_is_not_on_the_slide_before_a_key_is_pressed(lesson):
    cells = list(slides.placed(notebooks.read(lesson).cells))
    seen = [cell for cell in cells if cell.metadata["slideshow"]["slide_type"] in ("slide", "subslide", "-")]
    assert not [cell.source for cell in seen if cell.cell_type == "markdown" and "정답은 (" in cell.source]
    assert any(cell.metadata["slideshow"]["slide_type"] == "fragment" and "정답은" in cell.source for cell in cells)


def test_slides_ask_for_nothing_and_every_one_fits_the_screen(tmp_path):
    walk = """() => Reveal.getSlides().map(slide => {
        const {h, v} = Reveal.getIndices(slide);
        Reveal.slide(h, v || 0);
        return [slide.innerText.slice(0, 40), slide.getBoundingClientRect().height / Reveal.getScale()];
    })"""
    asked, broken = [], []
    try:
        with sync_playwright() as playwright, chromium(playwright) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: broken.append(str(error)))
            for path in slides.write(target=tmp_path):
                page.goto(path.as_uri())
                page.wait_for_function("window.Reveal?.isReady()")
                shown = page.evaluate(walk)
                assert len(shown) > 20
                assert [text for text, height in shown if height > 720] == [], path.name
                assert page.evaluate("() => document.querySelectorAll('aside.notes').length") > 5
    except NoBrowser as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Chromium and no Chrome: {missing}")
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
    assert broken == []


def made(tmp_path, **options):
    folder = tmp_path / "room"
    files = seats.prepare(3, Decimal("0.50"), folder=folder, address="http://10.1.2.3:4000", **options)
    rules, cards = (path.read_text(encoding="utf-8") for path in files)
    return folder, json.loads(rules), cards


def test_a_card_has_the_three_lines_of_the_learners_settings_and_a_code_with_the_same(tmp_path):
    _folder, rules, cards = made(tmp_path)
    keys = re.findall(r"OPENAI_API_KEY=(sk-seat\d\d-\S+)", cards)
    assert len(set(keys)) == len(rules["seats"]) == cards.count("<svg") == 3
    assert "OPENAI_BASE_URL=http://10.1.2.3:4000/v1\n" in cards
    assert [Room(rules).seat(key).name for key in keys] == ["seat-01", "seat-02", "seat-03"]


def test_only_the_cards_hold_keys_and_only_their_owner_can_read_them(tmp_path):
    folder, rules, cards = made(tmp_path)
    assert not any(key in json.dumps(rules) for key in re.findall(r"sk-seat\S+", cards))
    if os.name == "posix":
        assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}


def test_cards_in_use_are_not_made_worthless_by_a_second_run(tmp_path):
    folder, _rules, cards = made(tmp_path)
    with pytest.raises(ChatkitError, match="자리가 이미 있습니다"):
        made(tmp_path)
    assert (folder / "cards.html").read_text(encoding="utf-8") == cards


def test_the_rooms_budget_is_that_of_its_seats_unless_it_is_told(tmp_path):
    assert made(tmp_path / "a")[1]["room_budget"] == "1.50"
    assert made(tmp_path / "b", room_budget=Decimal(1))[1]["room_budget"] == "1"


def test_the_prices_of_the_room_are_the_courses(tmp_path):
    (price,) = Room(made(tmp_path)[1]).models.values()
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    assert price.of(usage) == Decimal("0.000114")


def test_a_request_is_never_dearer_than_it_was_taken_for(tmp_path):
    (price,) = Room(made(tmp_path)[1]).models.values()
    request = {"messages": [{"role": "user", "content": "떡볶이 " * 100}], "n": 2}
    highest = price.highest(request, longest=1_000)
    assert highest > price.of({"prompt_tokens": 700, "completion_tokens": 2_000})


@pytest.fixture
def clock():
    return [1_000_000.0]


@pytest.fixture
def book(tmp_path, clock):
    return Ledger(tmp_path / "spending.db", clock=lambda: clock[0])


LIMITS = Limits(seat_budget=Decimal("0.10"), room_budget=Decimal("0.25"), per_minute=100)
CENT = Decimal("0.01")


def pays(book, seat, usd=CENT, limits=LIMITS):
    book.settle(book.admit(seat, usd * 10, limits), usd)


def test_a_seat_may_spend_its_budget_and_is_stopped_at_the_next_call(book):
    for _paid in range(10):
        pays(book, "seat-01")
    with pytest.raises(Spent) as stopped:
        pays(book, "seat-01")
    assert (stopped.value.whose, stopped.value.spent) == ("seat", Decimal("0.10"))
    pays(book, "seat-02")


def test_the_room_is_stopped_at_its_own_budget(book):
    for number in range(25):
        pays(book, f"seat-{number:02}")
    with pytest.raises(Spent) as stopped:
        pays(book, "seat-99")
    assert stopped.value.whose == "room"


def test_a_call_under_way_counts_at_its_highest_price(book):
    book.admit("seat-01", Decimal("0.10"), LIMITS)
    with pytest.raises(Spent):
        book.admit("seat-01", CENT, LIMITS)


def test_a_refused_call_costs_nothing(book):
    book.settle(book.admit("seat-01", Decimal("0.10"), LIMITS), Decimal(0))
    assert book.spent("seat-01") == 0


def test_a_ledger_opened_again_knows_everything(book, tmp_path):
    pays(book, "seat-01")
    book.admit("seat-02", Decimal("0.05"), LIMITS)
    again = Ledger(tmp_path / "spending.db")
    assert {account.seat: account.usd for account in again.accounts()} == {"seat-01": CENT, "seat-02": Decimal("0.05")}


def test_a_seat_that_asks_too_often_hears_when_it_may_again(book, clock):
    slow = Limits(Decimal(1), Decimal(1), per_minute=3)
    for second in (0, 10, 20):
        clock[0] = 1_000_000.0 + second
        pays(book, "seat-01", limits=slow)
    clock[0] += 15
    with pytest.raises(TooMany) as often:
        pays(book, "seat-01", limits=slow)
    assert often.value.retry_after == 25
    pays(book, "seat-02", limits=slow)
    clock[0] += 25
    pays(book, "seat-01", limits=slow)


def test_a_clock_that_is_set_back_keeps_nobody_waiting(book, clock):
    slow = Limits(Decimal(1), Decimal(1), per_minute=1)
    pays(book, "seat-01", limits=slow)
    clock[0] -= 3_600
    pays(book, "seat-01", limits=slow)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"count": 0}, "자리의 수"),
        ({"budget": Decimal("NaN")}, "자리 예산"),
        ({"budget": Decimal(-1)}, "자리 예산"),
        ({"room_budget": Decimal("Infinity")}, "방 예산"),
        ({"longest": 0}, "답 하나의 길이"),
        ({"per_minute": 0}, "횟수"),
    ],
)
def test_a_room_that_nobody_could_use_is_not_made(tmp_path, wrong, named):
    with pytest.raises(ChatkitError, match=named):
        seats.prepare(**{"count": 3, "budget": Decimal("0.50"), "folder": tmp_path / "room"} | wrong)
    assert not (tmp_path / "room").exists()


def answered(tmp_path, proxy):
    """Ask a gate in front of `proxy` for a completion; return its status, the error's code and what was spent."""
    folder, rules, cards = made(tmp_path)
    book, sent = Ledger(folder / "spending.db"), []
    key = re.search(r"sk-seat01-[\w-]+", cards)[0]
    body = json.dumps({"model": models.default(), "messages": []}).encode()

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions"}
    scope["headers"] = [(b"authorization", f"Bearer {key}".encode())]
    asyncio.run(gate.Gate(proxy, Room(rules), book, secrets=[])(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"], book.spent()


def test_a_failure_of_the_proxy_is_told_and_the_call_stays_at_its_highest_price(tmp_path):
    async def failing(scope, receive, send):
        raise OSError("nobody there")

    status, code, spent = answered(tmp_path, failing)
    assert (status, code) == (502, "gateway_failed")
    assert spent > 0


def test_a_body_that_does_not_come_keeps_nobody_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "_SLOWEST", 0.0)
    status, _code, spent = answered(tmp_path, None)
    assert (status, spent) == (408, 0)


def test_the_spending_of_a_room_is_told_seat_by_seat(tmp_path):
    folder, _rules, _cards = made(tmp_path)
    pays(Ledger(folder / "spending.db"), "seat-02")
    told = live.spending(folder)
    assert re.search(r"seat-02 +1 +0\.010000 +0\.50", told)
    assert told.endswith("모두 USD 0.010000 / 1.50")


def test_the_gateway_is_told_the_key_and_nothing_else_of_the_instructors(tmp_path, monkeypatch):
    folder, _rules, _cards = made(tmp_path)
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_other")
    told = live.gateway_environment("sk-master", "https://api.openai.com", folder)
    assert told["UPSTREAM_KEY"] == "sk-master"
    assert "ghp_other" not in told.values()


def test_a_gateway_is_not_opened_with_a_seats_key_which_would_lead_back_to_itself(tmp_path, monkeypatch):
    folder, _rules, cards = made(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", re.search(r"sk-seat01-\S+", cards)[0])
    with pytest.raises(ChatkitError, match="자리 키가 있습니다"):
        live.gateway("127.0.0.1", 0, folder)


def test_a_gateway_without_seats_says_how_to_make_them(tmp_path):
    with pytest.raises(ChatkitError, match="workshop seats 30 --budget"):
        live.gateway_environment("sk-master", "https://api.openai.com", tmp_path)


def test_the_heavy_environments_are_pinned_exactly():
    for part, package in (("gateway", "litellm"), ("hub", "jupyterhub")):
        text = (WORKSHOP / part / "requirements.txt").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert any(line.startswith((f"{package}==", f"{package}[")) for line in lines)
        assert all(re.match(r"[\w.\[\],-]+==[\w.]+( ;|$)", line) for line in lines)


def test_both_hubs_hold_the_limits_and_start_the_courses_own_server():
    values = yaml.safe_load((WORKSHOP / "hub" / "values.yaml").read_text(encoding="utf-8"))
    assert values["singleuser"]["memory"] == {"guarantee": "256M", "limit": "768M"}
    script = (WORKSHOP / "hub" / "tljh.sh").read_text(encoding="utf-8")
    assert "limits.memory 768M" in script and 'mem_guarantee = "256M"' in script
    for text in (script, json.dumps(values)):
        assert "workshop/hub/learner_server.py" in text
        assert re.search(r"cull\D+5400", text)


def test_the_script_for_a_server_is_valid_shell():
    with contextlib.suppress(FileNotFoundError):
        assert subprocess.run(["bash", "-n", str(WORKSHOP / "hub" / "tljh.sh")]).returncode == 0
