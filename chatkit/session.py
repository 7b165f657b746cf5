"""Switch chatkit on and off: the mode, the seam on httpx2, the environment."""

from __future__ import annotations

import contextvars
import datetime
import difflib
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx2

from chatkit import browser, models, network, replay
from chatkit.answers import Answers, Script
from chatkit.budget import Budget, estimate, in_words
from chatkit.errors import ChatkitError
from chatkit.messages import say
from chatkit.misses import missing
from chatkit.recorder import Cell, Chunks, Recorder, Watched, recorded
from chatkit.recordings import OPENAI_BASE, Folder, Json, Record, Request, key_of, load_folder, normalise

MODES = ("replay", "auto", "live", "record")
PLACEHOLDER_KEY = "chatkit-needs-no-key"
Spoil = Callable[[Json], Json]


class InFront(Protocol):
    """What may answer a request before the session does, or call `send` to let it."""

    def handle(self, request: httpx2.Request, send: Callable[..., httpx2.Response]) -> httpx2.Response: ...
    async def handle_async(
        self, request: httpx2.Request, send: Callable[..., Awaitable[httpx2.Response]]
    ) -> httpx2.Response: ...


class Grader(Protocol):
    """What judges each request before it is looked up or sent: an exercise."""

    def meet(self, request: Request, attempt: int) -> Json | None: ...


_real_sync = httpx2.HTTPTransport.handle_request
_real_async = httpx2.AsyncHTTPTransport.handle_async_request
_active: Session | None = None
# Why the last start failed: a learner who goes on all the same must not go live.
_refusal: ChatkitError | None = None
# The take that this task's last first attempt was given: its retries belong to the same take.
_take_of: contextvars.ContextVar[tuple[str, int]] = contextvars.ContextVar("chatkit_take")


def start(
    lesson: str,
    *,
    mode: str | None = None,
    speed: float | None = None,
    folder: str | Path | None = None,
    answers: Answers | None = None,
) -> None:
    """Answer every OpenAI and httpx2 request of this process from a lesson's recordings.

    Args:
        lesson: name of the lesson and of its folder of recordings, such as `01_setup`.
        mode: `replay` (default), `auto`, `live` or `record`; otherwise CHATKIT_MODE.
        speed: 1 at the recorded pace, 0 at once; otherwise CHATKIT_SPEED, then 1.
        folder: where the lessons' folders of recordings are; otherwise CHATKIT_RECORDINGS, then
            `recordings` beside the notebook or above it, then the package's own copy.
        answers: what `input()` answers for each prompt when nobody is there to type.

    Raises:
        ChatkitError: an unknown mode, a bad number, a lesson without recordings, or no key where one is needed.
    """
    global _active, _refusal
    stop()
    if browser.HERE:
        browser.prepare(_shell())
    try:
        settings = _Settings()
        session = Session(lesson, settings, _mode(mode, settings), _speed(speed, settings), folder, answers or {})
    except ChatkitError as error:
        _refusal = error
        network.block()
        _patch()
        raise
    session.open()
    _active = session


def stop() -> None:
    """Switch chatkit off and put everything back; harmless when it is not on."""
    global _active, _refusal
    session, _active, _refusal = _active, None, None
    try:
        if session is not None:
            session.close()
    finally:
        _unpatch()
        network.unblock()


@dataclass
class _Plan:
    """What to do with one request: `reply` to play, or None to send it."""

    request: Request
    take: int
    reply: Json | None = None
    cost: Decimal | None = None


class Session:
    """One stretch between start and stop."""

    def __init__(
        self,
        lesson: str,
        settings: _Settings,
        mode: str,
        speed: float,
        folder: str | Path | None,
        answers: Answers,
    ) -> None:
        self.lesson, self.mode, self.speed = lesson, mode, speed
        self._settings = settings
        self.folder = _find(lesson, folder or settings.get("CHATKIT_RECORDINGS"), mode)
        self._budget = Budget(_limit(settings))
        self._usage_log = os.environ.get("CHATKIT_USAGE_LOG")
        self._environment = _Environment()
        self._own_keys = {key for key in (settings.get("OPENAI_API_KEY"), settings.dotenv.get("OPENAI_API_KEY")) if key}
        only_missing = os.environ.get("CHATKIT_RECORD_MISSING") == "1"
        self._recorder = Recorder(self.folder, self._own_keys, only_missing=only_missing)
        self._script = Script(answers)
        self._shell: Any = None
        # Streams that a cell has left unread: what is recorded must be whole.
        self._open: list[Watched] = []
        self._cell: Cell = ("", 0)
        self._counts: Counter[str] = Counter()
        # What a request meets before the recordings and the API, the latest last (chatkit.faults).
        self.scripts: tuple[InFront, ...] = ()
        self.grader: Grader | None = None  # judges each request before all of them
        self._lock = threading.Lock()
        if mode in ("live", "record") and not self._own_keys:
            raise ChatkitError(say("no_key", mode=mode))
        if mode != "replay" and not all(map(_fits_a_header, self._own_keys)):
            raise ChatkitError(say("bad_key"))

    def open(self) -> None:
        print(self._banner())
        self._set_environment()
        if self.mode == "replay":
            network.block()
        if self.mode != "live" or self._budget.limit is not None:
            _patch()
        self._script.install()
        self._shell = _shell()
        if self._shell:
            self._shell.events.register("pre_run_cell", self._new_cell)

    def close(self) -> None:
        try:
            for body in self._open:
                if body.readable_now:
                    body.close()
        finally:
            self._switch_off()

    def _switch_off(self) -> None:
        if self._shell:
            self._shell.events.unregister("pre_run_cell", self._new_cell)
        self._script.uninstall()
        self._environment.restore()

    def _set_environment(self) -> None:
        if self.mode == "replay":
            self._environment.set("OPENAI_API_KEY", PLACEHOLDER_KEY)
            self._environment.set("OPENAI_MODEL", self._recorded_model())
            return
        for name, value in self._settings.dotenv.items():
            if name and not set("=\0") & set(name) and "\0" not in value:
                self._environment.set_default(name, value)
        self._environment.set_default("OPENAI_API_KEY", PLACEHOLDER_KEY)
        used = self._recorded_model() if self.mode == "auto" else models.default()
        self._environment.set_default("OPENAI_MODEL", used)

    def _recorded_model(self) -> str:
        return self.folder.model() or models.default()

    def _banner(self) -> str:
        words = {"lesson": self.lesson, "base": self._base(), "folder": self.folder.path.name}
        lines = [say(f"banner_{self.mode}", counts=_counts(self.folder), **words)]
        asked = self._settings.get("OPENAI_MODEL")
        if self.mode == "replay" and asked and asked != self._recorded_model():
            lines.append(say("other_model", asked=asked, used=self._recorded_model()))
        if self._settings.unreadable:
            lines.append(self._settings.unreadable)
        if browser.HERE and browser.forgets():
            lines.append(say("page_forgets"))
        lines += [say("broken_file", file=path.name, reason=error.code) for path, error in self.folder.broken.items()]
        return "\n".join(lines)

    def _base(self) -> str:
        return self._settings.get("OPENAI_BASE_URL") or OPENAI_BASE

    def _new_cell(self, info: Any = None) -> None:
        with self._lock:
            identity = str(getattr(info, "cell_id", None) or getattr(info, "raw_cell", ""))
            self._cell = (identity, self._cell[1] + 1)
            self._counts.clear()
            self._script.rewind()

    def put_in_front(self, script: InFront) -> None:
        """Let every request meet a script first, until `take_away`."""
        with self._lock:
            self.scripts = (*self.scripts, script)
        _patch()  # a live session may have had no need of the seam

    def take_away(self, script: InFront) -> None:
        with self._lock:
            self.scripts = tuple(other for other in self.scripts if other is not script)

    @property
    def sends(self) -> bool:
        """Say whether a request may go out: the mode allows it, and there is a key."""
        return self.mode in ("live", "auto") and bool(self._own_keys)

    def judge_by(self, grader: Grader | None) -> None:
        """Let a grader see every request before it is looked up or sent; None ends that."""
        self.grader = grader
        if grader is not None:
            _patch()  # as put_in_front

    def plan(self, request: httpx2.Request, content: bytes, met: int = 0) -> _Plan:
        """Decide what happens with a request, of which `met` attempts have come to nothing on the way here.

        Raises:
            MissingRecording, BudgetExceeded, ExerciseUnmet, ChatkitError: it may neither be played nor sent.
        """
        normal = normalise(request.method, request.url, content, bases=_bases(), foreign_key=self._is_foreign(request))
        key, attempt = key_of(normal), max(0, retry_count(request) - met)
        plan = _Plan(normal, self._take(key, attempt))
        if self.grader is not None and (reply := self.grader.meet(normal, attempt)) is not None:
            plan.reply = reply
            return plan
        if self._playable(key, plan.take):
            self._log_use(key)
            every_take = self.folder.takes[key]
            attempts = every_take[(plan.take - 1) % len(every_take)]
            plan.reply = attempts[min(attempt, len(attempts) - 1)]
        elif self.mode == "replay" or self._without_key(request):
            _log_miss(normal)
            raise missing(self.lesson, normal, self.folder)
        else:
            self._before_sending(request, key, plan)
        return plan

    def _log_use(self, key: str) -> None:
        if self._usage_log:
            # Written at each use, because a test runner kills the kernel without letting it finish.
            with open(Path(self._usage_log) / f"{os.getpid()}.txt", "a", encoding="utf-8") as log:
                log.write(f"{self.lesson}/{key}\n")

    def _playable(self, key: str, take: int) -> Record | None:
        if self.mode == "record":
            return self._recorder.playable(key, take, self._cell)
        return None if self.mode == "live" else self.folder.records.get(key)

    def _before_sending(self, request: httpx2.Request, key: str, plan: _Plan) -> None:
        if self.mode == "record" and "body" in plan.request:
            raise ChatkitError(say("unrecordable", kind=request.headers.get("content-type", "?")))
        if self.mode == "auto" or self._budget.limit is not None:
            plan.cost = estimate(request.url, plan.request.get("json"))
            self._budget.reserve(plan.cost)
        if self.mode == "auto":
            where = plan.request.get("path") or plan.request.get("url")
            print(say("live_call", place=where, cost=in_words(plan.cost), spent=in_words(self._budget.spent)))
        if self.mode == "record":
            # Compressed events would arrive in blocks and lose their times.
            request.headers["accept-encoding"] = "identity"
            self._recorder.begin(key, self._cell)

    def watch(self, plan: _Plan, live: httpx2.Response, started: float) -> httpx2.Response:
        """Return a live response whose body is recorded, or whose usage is booked, as it passes."""
        head_ms = 1_000 * (time.perf_counter() - started)

        def done(chunks: Chunks) -> None:
            self._finish(plan, live, chunks, head_ms)

        recording = self.mode == "record"
        live.stream = body = Watched(live.stream, started, done, to_the_end=recording)
        if recording:
            self._open = [*(other for other in self._open if not other.ended), body]
        return live

    def _finish(self, plan: _Plan, live: httpx2.Response, chunks: Chunks, head_ms: float) -> None:
        try:
            response = recorded(live, chunks, head_ms)
        except ValueError:
            return  # neither JSON nor text: nothing a lesson could replay
        if self.mode == "record":
            with self._lock:
                self._recorder.keep(plan.request, plan.take, response, self._source(plan.request))
        else:
            self._budget.settle(plan.cost, _usage(response), str((plan.request.get("json") or {}).get("model")))

    def _source(self, request: Request) -> dict[str, str]:
        import openai

        base = httpx2.URL(os.environ.get("OPENAI_BASE_URL") or OPENAI_BASE)
        by = base.netloc.decode() if "path" in request else request["url"].partition("/")[0]
        body = request.get("json")
        asks_a_model = isinstance(body, dict) and "model" in body
        real = base.host == httpx2.URL(OPENAI_BASE).host if "path" in request else not asks_a_model
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        return {"kind": "api" if real else "local-model", "by": by, "recorded": day, "sdk": openai.__version__}

    def _take(self, key: str, attempt: int) -> int:
        with self._lock:
            if attempt == 0:
                self._counts[key] += 1
                _take_of.set((key, self._counts[key]))
                return self._counts[key]
            asked, take = _take_of.get((key, 1))
            return take if asked == key else max(1, self._counts[key])

    def _is_foreign(self, request: httpx2.Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if token == PLACEHOLDER_KEY or scheme.lower() != "bearer":
            return False
        return token.strip() not in self._own_keys | {os.environ.get("OPENAI_API_KEY", "").strip()}

    def _without_key(self, request: httpx2.Request) -> bool:
        return request.headers.get("authorization", "").endswith(f" {PLACEHOLDER_KEY}")


def _patch() -> None:
    httpx2.HTTPTransport.handle_request = _handle  # type: ignore[method-assign, assignment]
    httpx2.AsyncHTTPTransport.handle_async_request = _handle_async  # type: ignore[method-assign, assignment]


def _unpatch() -> None:
    httpx2.HTTPTransport.handle_request = _real_sync  # type: ignore[method-assign]
    httpx2.AsyncHTTPTransport.handle_async_request = _real_async  # type: ignore[method-assign]


def _current() -> Session | None:
    if _refusal is not None:
        raise ChatkitError(say("not_started", reason=_refusal))
    return _active


def is_running() -> bool:
    """Say whether there is a session between start and stop."""
    return _active is not None


def running() -> Session:
    """Return the session between start and stop.

    Raises:
        ChatkitError: there is none.
    """
    session = _current()
    if session is None:
        raise ChatkitError(say("no_session"))
    return session


def _handle(transport: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
    session = _current()
    if session is None:
        return _real_sync(transport, request)
    if not session.scripts:
        return _answer(session, transport, request)
    return session.scripts[-1].handle(request, partial(_answer, session, transport, request))


def _answer(
    session: Session, transport: httpx2.HTTPTransport, request: httpx2.Request, met: int = 0, spoil: Spoil | None = None
) -> httpx2.Response:
    plan = session.plan(request, request.read(), met)
    if plan.reply is not None:
        return replay.respond(spoil(plan.reply) if spoil else plan.reply, request, session.speed)
    started = time.perf_counter()
    live = session.watch(plan, _real_sync(transport, request), started)
    if spoil is None:
        return live
    return replay.respond(spoil(recorded(live, [(0.0, chunk) for chunk in live.iter_raw()], 0)), request, 0)


async def _handle_async(transport: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
    session = _current()
    if session is None:
        return await _real_async(transport, request)
    if not session.scripts:
        return await _answer_async(session, transport, request)
    return await session.scripts[-1].handle_async(request, partial(_answer_async, session, transport, request))


async def _answer_async(
    session: Session,
    transport: httpx2.AsyncHTTPTransport,
    request: httpx2.Request,
    met: int = 0,
    spoil: Spoil | None = None,
) -> httpx2.Response:
    plan = session.plan(request, await request.aread(), met)
    if plan.reply is not None:
        return await replay.respond_async(spoil(plan.reply) if spoil else plan.reply, request, session.speed)
    started = time.perf_counter()
    live = session.watch(plan, await _real_async(transport, request), started)
    if spoil is None:
        return live
    came = [(0.0, chunk) async for chunk in live.aiter_raw()]
    return await replay.respond_async(spoil(recorded(live, came, 0)), request, 0)


class _Settings:
    """Values from the environment first, then from the nearest `.env`, as python-dotenv finds it."""

    def __init__(self) -> None:
        from dotenv import dotenv_values, find_dotenv

        self.dotenv: dict[str, str] = {}
        self.unreadable = ""
        path = find_dotenv(usecwd=True)
        try:
            self.dotenv = {name: value for name, value in dotenv_values(path).items() if value} if path else {}
        except UnicodeDecodeError:
            self.unreadable = say("dotenv_encoding", path=path)
        except OSError as error:
            self.unreadable = say("dotenv_denied", path=path, reason=error.strerror)

    def get(self, name: str) -> str | None:
        value = os.environ.get(name) or self.dotenv.get(name) or ""
        return value.strip() or None


class _Environment:
    """Environment variables that are set for the session and put back, unless changed since."""

    def __init__(self) -> None:
        self._changed: dict[str, tuple[str | None, str]] = {}

    def set(self, name: str, value: str) -> None:
        self._changed[name] = (os.environ.get(name), value)
        os.environ[name] = value

    def set_default(self, name: str, value: str) -> None:
        if not os.environ.get(name, "").strip():
            self.set(name, value)

    def restore(self) -> None:
        for name, (before, ours) in self._changed.items():
            if os.environ.get(name) == ours:
                os.environ.pop(name)
                if before is not None:
                    os.environ[name] = before


def _fits_a_header(key: str) -> bool:
    return key.isascii() and key.isprintable() and " " not in key


def _mode(mode: str | None, settings: _Settings) -> str:
    chosen = mode or settings.get("CHATKIT_MODE") or MODES[0]
    if chosen not in MODES:
        raise ChatkitError(say("unknown_mode", known=", ".join(MODES), got=chosen))
    return chosen


def _speed(speed: float | None, settings: _Settings) -> float:
    given: object = settings.get("CHATKIT_SPEED") or "1" if speed is None else speed
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = -1.0
    if not math.isfinite(value) or value < 0:
        raise ChatkitError(say("bad_number", name="speed(CHATKIT_SPEED)", got=given))
    return value


def _limit(settings: _Settings) -> Decimal | None:
    given = settings.get("CHATKIT_BUDGET")
    if given is None:
        return None
    try:
        value = Decimal(given)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise ChatkitError(say("bad_number", name="CHATKIT_BUDGET", got=given))
    return value


def _find(lesson: str, given: str | Path | None, mode: str) -> Folder:
    roots = [Path(given)] if given else _usual_roots()
    for root in roots:
        if lesson and (root / lesson).is_dir() and Path(lesson).name == lesson:
            return load_folder(root / lesson)
    if mode == "record" and lesson and Path(lesson).name == lesson:
        return Folder(next((root for root in roots if root.is_dir()), roots[0]) / lesson)
    known = sorted({path.name for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()})
    known = [name for name in known if not name.startswith(".")]
    near = difflib.get_close_matches(lesson, known, n=len(known), cutoff=0)
    searched = ", ".join(str(root) for root in roots if root.is_dir()) or str(roots[0])
    raise ChatkitError(say("no_lesson", lesson=lesson, searched=searched, known=", ".join(near) or "-"))


def _usual_roots() -> list[Path]:
    here = Path.cwd()
    near = [folder / name for folder in (here, *here.parents) for name in ("recordings", "notebooks/recordings")]
    return [*near, Path(__file__).parent / "lessons"]


def _counts(folder: Folder) -> str:
    authored = folder.kinds().count("authored")
    others = len(folder.records) - authored
    parts = [say("count_authored", n=authored)] if authored else []
    parts += [say("count_recorded", n=others)] if others else []
    return ", ".join(parts) or say("count_none")


def _bases() -> Iterator[str]:
    yield OPENAI_BASE
    if own := os.environ.get("OPENAI_BASE_URL", "").strip():
        yield own


def retry_count(request: httpx2.Request) -> int:
    """Return how many attempts of the SDK have gone before this one."""
    count = request.headers.get("x-stainless-retry-count", "0")
    return int(count) if count.isdecimal() else 0


def _usage(response: Json) -> Any:
    if "json" in response:
        return response["json"].get("usage") if isinstance(response["json"], Mapping) else None
    usages = [data.get("usage") for _ms, data, *_ in response.get("events", []) if isinstance(data, dict)]
    return next((usage for usage in reversed(usages) if usage), None)


def _log_miss(request: Request) -> None:
    path = os.environ.get("CHATKIT_MISS_LOG")
    if path:
        Path(path).write_text(json.dumps(request), encoding="utf-8")


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
