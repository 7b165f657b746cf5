"""What a learner does in an exercise's cell: each request is judged as it is sent, and a card ends the cell."""

from __future__ import annotations

import datetime
import html
import re
import reprlib
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from chatkit import authored, exercises, marks, session
from chatkit.advice import advise
from chatkit.errors import ChatkitError, ExerciseUnmet
from chatkit.exercises import Exercise, Goal
from chatkit.markdown import safe
from chatkit.messages import say
from chatkit.recordings import Json, Request

_FRAME = "border:1px solid #8c959f;border-left:6px solid {colour};border-radius:6px;"
_BOX = f"{_FRAME}padding:.6em 1em;margin:.5em 0;max-width:56em"
_COLOURS = {"met": "#1a7f37", "missed": "#bc4c00", "waiting": "#8c959f"}
_SIGNS = {"met": "✓", "missed": "✗", "waiting": "○"}
_WORDS = {"met": "exercise_met", "missed": "exercise_missed", "waiting": "exercise_waiting"}
State = Literal["met", "missed", "waiting"]
_FIRST_LINE = re.compile(r"^chatkit\.exercise\([^)]*\)\s*;?\s*")
# In live mode a request too many costs money: a few may be honest retries, more than that are a loop.
_MOST_SENT = 10
# How often a goal was the next one to reach: the next hint says more.
_tries: Counter[tuple[str, str]] = Counter()


def exercise(name: str) -> None:
    """Let the rest of this cell be an attempt at an exercise, and show a card at the cell's end.

    What the cell sends is ordinary SDK code. In replay a request that reaches the goals gets the exercise's sample
    reply, and one that does not ends the cell; in `auto` and `live` requests go out, and are judged the same way.

    Args:
        name: the exercise's id, such as `02-json`.

    Raises:
        ChatkitError: no session, no notebook, another exercise in this cell, or no such exercise.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        raise ChatkitError(say("exercise_no_notebook"))
    running = session.running()
    if isinstance(running.grader, Attempt):
        raise ChatkitError(say("exercise_twice", name=running.grader.exercise.id))
    Attempt(exercises.load(running.folder.path, name), running, shell).begin()


@dataclass
class _Finding:
    """How far one goal is reached; `detail` says what came instead."""

    goal: Goal
    state: State
    detail: str = ""


class Attempt:
    """One run of an exercise's cell."""

    def __init__(self, task: Exercise, running: session.Session, shell: Any) -> None:
        self.exercise = task
        self._session, self._shell = running, shell
        self._plays = task.scripted or not running.sends
        self._lock = threading.Lock()
        self._at = self._requests = 0
        self._latest: list[bool] = []  # of the step that comes next, what its last request reached
        self._refused: Goal | None = None
        self._too_many = False
        self._reply: Json | None = None
        self._facts: dict[str, Json] = {}
        self._over = False

    def begin(self) -> None:
        exercises.prepare(self.exercise)
        self._session.judge_by(self)
        self._shell.events.register("post_run_cell", self._end)

    def _end(self, result: Any = None) -> None:
        self._shell.events.unregister("post_run_cell", self._end)
        self._over = True  # what a learner's function sends while it is tried is no answer, and costs nothing
        try:
            outcome = Outcome(result, self._shell.user_ns, self._requests > 0)
            card = Card(self.exercise, list(self._findings(outcome)), outcome, self._requests, self._said())
        finally:
            self._session.judge_by(None)
        _display(card.bundle())
        if card.passed:
            marks.mark(self.exercise.id)

    # requests

    def meet(self, request: Request, attempt: int) -> Json | None:
        """Judge a request, and return the reply to play or None to let it go its way.

        Raises:
            ExerciseUnmet: it does not reach the goals, and there is no API to send it to.
        """
        if self._over:
            raise ChatkitError(say("exercise_pure"))
        if not _is_chat(request) or request.get("foreign_key"):
            return None
        with self._lock:
            if not attempt:  # else the SDK sends again what was judged
                self._requests += 1
                self._judge(request)
            return self._reply

    def _judge(self, request: Request) -> None:
        body = exercises.view(request.get("json"))
        # A live API refuses by itself.
        self._reply, self._refused = None, exercises.refusal(body) if self._plays else None
        step = self._reached(body)
        self._facts["body"] = exercises.plain(request.get("json"))
        if step is not None and self._plays:
            self._play(request, step)
        elif self._plays or (self._too_many and self._requests > _MOST_SENT):
            raise ExerciseUnmet(say("exercise_unmet"))

    def _reached(self, body: dict[str, Json]) -> int | None:
        """Return the step that a request reaches: the next one, or one before it that is asked again."""
        steps = self.exercise.steps
        if self._at < len(steps):
            self._latest = exercises.marks(steps[self._at], body, self._facts)
        elif self.exercise.nothing_more:
            self._too_many = True
            return None
        if self._refused:
            return None
        if self._latest and all(self._latest):
            self._at, self._latest = self._at + 1, []
            return self._at - 1
        return next((n for n in range(self._at) if all(exercises.marks(steps[n], body, self._facts))), None)

    def _play(self, request: Request, step: int) -> None:
        reply = self.exercise.steps[step].reply
        day = datetime.date.fromisoformat(self.exercise.source["recorded"])
        try:
            self._reply = authored.response(request, reply, f"{self.exercise.id}-{step + 1}", day)
        except (ChatkitError, AttributeError, LookupError, TypeError, ValueError):
            # A value of another type than the API takes, in a place that no rule looks at.
            self._refused = Goal(say("exercise_accepted"), (say("exercise_malformed"),))
            raise ExerciseUnmet(say("exercise_unmet")) from None
        self._facts |= _facts(reply)

    def _said(self) -> str:
        texts = [_text_of(step.reply) for step in self.exercise.steps[: self._at]] if self._plays else []
        return next((text for text in reversed(texts) if text), "")

    # what is reached

    def _findings(self, outcome: Outcome) -> Iterator[_Finding]:
        for function in self.exercise.functions:
            yield self._function_finding(function) if outcome.touched else _Finding(function, "waiting")
        if self._refused:
            yield _Finding(self._refused, "missed")
        for number, step in enumerate(self.exercise.steps):
            yield from map(_Finding, step.rules, self._states(number, step))
        everything = self._at == len(self.exercise.steps)
        if goal := self.exercise.nothing_more:
            yield _Finding(goal, _state(everything, not self._too_many))
        if rule := self.exercise.value:
            judged = everything and outcome.touched and outcome.error is None
            state = _state(judged, _accepts(rule, outcome.value, self._facts))
            yield _Finding(rule, state, outcome.told() if state == "missed" else "")

    def _states(self, number: int, step: exercises.Step) -> list[State]:
        judged = number < self._at or (number == self._at and bool(self._latest))
        reached = self._latest if number == self._at and judged else [True] * len(step.rules)
        return [_state(judged, met) for met in reached]

    def _function_finding(self, function: exercises.Function) -> _Finding:
        call = self._shell.user_ns.get(function.name)
        if not callable(call):
            return _Finding(function, "waiting")
        wrong = exercises.shortcoming(function, call)
        return _Finding(function, _state(True, wrong is None), wrong or "")


def _accepts(rule: exercises.Rule, value: Any, facts: dict[str, Json]) -> bool:
    try:
        return rule.accepts(exercises.plain(value), facts)
    except Exception:  # an object of the learner's own that cannot be compared
        return False


def _is_chat(request: Request) -> bool:
    where: str = request.get("path") or request.get("url", "").partition("?")[0]
    return where.endswith("/chat/completions")


def _text_of(reply: Json) -> str:
    return reply if isinstance(reply, str) else reply.get("reply") or ""


def _facts(reply: Json) -> dict[str, Json]:
    """Return what a rule may ask of a sample reply, if it is a text."""
    text = _text_of(reply)
    if not text:
        return {}
    from chatkit import tokens

    return {"reply": text, "first_line": text.splitlines()[0], "completion_tokens": tokens.count(text)}


def _state(judged: bool, met: bool) -> State:
    if not judged:
        return "waiting"
    return "met" if met else "missed"


class Outcome:
    """How a cell ended: its value, its error, and whether there was any code besides the exercise's own line."""

    def __init__(self, result: Any, names: dict[str, Any], sent: bool) -> None:
        self.value = getattr(result, "result", None)
        error = getattr(result, "error_in_exec", None)
        self.error: BaseException | None = error
        self._names = names
        source = getattr(getattr(result, "info", None), "raw_cell", "")
        self._lines = [line.strip() for line in source.splitlines()]
        own = (_FIRST_LINE.sub("", line) for line in self._lines)
        self.touched = sent or any(line and not line.startswith("#") for line in own)

    def where(self) -> Iterator[str]:
        """Say at which line of the cell its error came: a short traceback does not tell."""
        trace = traceback.walk_tb(self.error.__traceback__ if self.error else None)
        own = [(frame.f_code.co_filename, number) for frame, number in trace if frame.f_globals is self._names]
        numbers = [number for file, number in own if file == own[0][0]]
        if numbers and numbers[-1] <= len(self._lines):
            yield say("exercise_line", number=numbers[-1], line=self._lines[numbers[-1] - 1])

    def told(self) -> str:
        """Say what the cell's value is, if it has one."""
        if self.value is None:
            return say("exercise_no_value")
        return say("exercise_value", kind=type(self.value).__name__, value=_brief(self.value))


@dataclass
class Card:
    """What the learner is shown at the end of the cell."""

    exercise: Exercise
    findings: list[_Finding]
    outcome: Outcome
    requests: int
    said: str
    passed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.passed = self.outcome.error is None and all(each.state == "met" for each in self.findings)

    def bundle(self) -> dict[str, str]:
        """Return the card as a display bundle."""
        touched = self.outcome.touched
        parts = [self._head(touched), self._list(), *(self._help() if touched else [])]
        parts += [say("exercise_reply"), _quoted(self.said)] if self.passed and self.said else []
        state = "met" if self.passed else "missed" if touched else "waiting"
        style = _BOX.format(colour=_COLOURS[state])
        folded = f"<details><summary>{say('exercise_task')}</summary>\n\n{self.exercise.task}\n\n</details>"
        text = "\n\n".join([*parts, folded])
        return {
            "text/markdown": f'<div style="{style}">\n\n{text}\n\n</div>',
            "text/plain": html.unescape("\n\n".join(parts)),
        }

    def _head(self, touched: bool) -> str:
        own = [each for each in self.findings if each.goal.goal != say("exercise_accepted")]
        met = sum(each.state == "met" for each in own)
        if self.passed:
            state = say("exercise_passed")
        elif not touched:
            state = self._untouched()
        elif self.exercise.steps and not self.requests:
            state = say("exercise_stopped" if self.outcome.error else "exercise_no_request")
        elif met == len(own):
            state = say("exercise_met_but_error" if own == self.findings else "exercise_met_but_refused")
        elif met:
            state = say("exercise_half", met=met, n=len(own))
        else:
            state = say("exercise_none", n=len(own))
        title = say("exercise_core" if self.exercise.level == "core" else "exercise_stretch", title=self.exercise.title)
        return f"**{title}** · {state}"

    def _untouched(self) -> str:
        day = marks.done().get(self.exercise.id)
        name = "exercise_untouched" if self.exercise.steps else "exercise_no_function"
        return say(name) + (" " + say("exercise_done_before", day=day) if day else "")

    def _list(self) -> str:
        lines = [f"{_SIGNS[each.state]} {say(_WORDS[each.state])}: {each.goal.goal}" for each in self.findings]
        return "  \n".join(lines)  # two spaces break a line of Markdown

    def _help(self) -> Iterator[str]:
        error = self.outcome.error
        explained = error is not None and not isinstance(error, ExerciseUnmet)
        if error is not None and explained:
            yield safe(_explained(error))
        yield from map(safe, self.outcome.where())
        if type(error).__module__.partition(".")[0] == "openai":
            return  # the server's trouble, not the learner's
        # Code that failed before it sent anything has not said yet what it would send.
        early = explained and self.exercise.steps and not self.requests
        left = [each for each in self.findings if each.state == "missed" or (each.state == "waiting" and not early)]
        for finding in left[:1]:
            if finding.detail and not explained:
                yield safe(finding.detail)
            yield self._hint(finding.goal)
        if early and not left and self.exercise.stopped:
            yield say("exercise_hint", level=1, n=1, hint=self.exercise.stopped)

    def _hint(self, goal: Goal) -> str:
        _tries[self.exercise.id, goal.goal] += 1
        level = min(_tries[self.exercise.id, goal.goal], len(goal.hints))
        return say("exercise_hint", level=level, n=len(goal.hints), hint=goal.hints[level - 1])


def _explained(error: BaseException) -> str:
    known = advise(error)
    if known is None and isinstance(error, TypeError) and "Completions." in str(error):
        known = say("exercise_keyword", message=error)
    if isinstance(error, NameError):
        known = say("exercise_name", name=error.name)
    return known or say("exercise_error", name=type(error).__name__, message=error)


def _brief(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except Exception:  # an object of the learner's own that cannot be shown
        return "…"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in safe(text).splitlines())


def _display(bundle: dict[str, str]) -> None:
    from IPython.display import display

    display(bundle, raw=True)  # type: ignore[no-untyped-call]
