"""The recording file: normalise a request, key it, load, seal and save.

Decisions on what makes two requests the same, kept here and nowhere else:
key order and JSON whitespace do not count; strings are compared in Unicode form NFC (text typed on
macOS and on Windows matches) and stored as sent; numbers are compared by value (`1` is `1.0`, `true`
is not `1`); white space inside strings counts; a data URL over 1,024 characters counts by its hash.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import httpx2
import pydantic
from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from chatkit.errors import ChatkitError
from chatkit.messages import say

FORMAT = 1
KINDS = ("api", "local-model", "authored")
OPENAI_BASE = "https://api.openai.com/v1"

Json = Any
Request = dict[str, Json]
Record = dict[str, Json]

_LONG_DATA_URL = 1_024
_DEEPEST = 100
# Not \b: a Hangul letter is a word character to it, and so is the n of an escaped line break.
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[bfnrt]))"
_SECRETS = {
    "API key": re.compile(_START + r"sk-[A-Za-z0-9_-]{16,}"),
    "bearer token": re.compile(_START + r"[Bb]earer\s+[A-Za-z0-9._~+/=-]{16,}"),
    "organization id": re.compile(_START + r"org-[A-Za-z0-9]{16,}"),
    "project id": re.compile(_START + r"proj_[A-Za-z0-9]{16,}"),
}


class Unreadable(ValueError):
    """A recording file that cannot be used; `code` is json, shape or format."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass
class Folder:
    """The recordings of one lesson and their takes, by key, and the files that could not be read."""

    path: Path
    records: dict[str, Record] = field(default_factory=dict)
    takes: dict[str, list[list[Json]]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    broken: dict[Path, Unreadable] = field(default_factory=dict)

    def add(self, path: Path, record: Record) -> None:
        key = record["key"]
        self.records[key], self.takes[key], self.files[key] = record, takes(record), path

    def kinds(self) -> list[str]:
        return [record["source"]["kind"] for record in self.records.values()]

    def model(self) -> str | None:
        """The model most of the recorded requests name."""
        named = [str(r["request"]["json"]["model"]) for r in self.records.values() if _names_model(r)]
        return max(sorted(set(named)), key=named.count) if named else None


def _names_model(record: Record) -> bool:
    body = record["request"].get("json")
    return isinstance(body, dict) and "model" in body


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@functools.lru_cache
def _parts(base: str) -> tuple[tuple[str, int | None], str]:
    url = httpx2.URL(base)
    return (url.host, url.port), url.path.rstrip("/") + "/"


def place(url: httpx2.URL, bases: Iterable[str]) -> dict[str, str]:
    """Say where a request goes: `path` under one of the API's base URLs, `url` anywhere else."""
    host, port, path = url.host, url.port, url.path
    query = f"?{httpx2.QueryParams(sorted(url.params.multi_items()))}" if url.query else ""
    for base in bases:
        server, prefix = _parts(base)
        if (host, port) == server and path.startswith(prefix):
            return {"path": "/" + path[len(prefix) :] + query}
    return {"url": f"{host}:{port}{path}{query}" if port else f"{host}{path}{query}"}


def normalise(
    method: str, url: httpx2.URL, content: bytes, *, bases: Iterable[str], foreign_key: bool = False
) -> Request:
    """Return the stored form of a request: method, place and JSON body, no headers.

    A body that is not JSON, or nested over 100 deep, is kept as its length and sha256, which no recording matches.
    """
    request: Request = {"method": method, **place(url, bases)}
    if foreign_key:
        request["foreign_key"] = True
    if content:
        try:
            value = json.loads(content)
            # A short body holds no long data URL, and few brackets no deep nesting: most requests are neither.
            plain = len(content) <= _LONG_DATA_URL and content.count(b"[") + content.count(b"{") <= _DEEPEST
            request["json"] = value if plain else _shrink(value)
        except (ValueError, RecursionError):
            request["body"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return request


def _shrink(value: Json, depth: int = 0) -> Json:
    if depth > _DEEPEST:
        raise ValueError("nested deeper than any request")
    if isinstance(value, dict):
        return {key: _shrink(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_shrink(item, depth + 1) for item in value]
    if isinstance(value, str) and len(value) > _LONG_DATA_URL and value.startswith("data:"):
        head, _, data = value.partition(",")
        return f"{head},sha256={hashlib.sha256(data.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return value


def comparable(value: Json) -> Json:
    """Return a value in the form in which two requests are compared."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {comparable(key): comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digest(value: Json) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def key_of(request: Request) -> str:
    """Return the 12 hex digits under which equal requests are found."""
    return _digest(comparable(request))[:12]


def make(request: Request, source: Mapping[str, str], responses: list[Json], *, constructed: bool = False) -> Record:
    """Return a sealed record; `constructed` marks replies that a live API cannot be made to give."""
    mark = {"constructed": True} if constructed else {}
    head = {"chatkit": FORMAT, "key": key_of(request), **mark, "source": dict(source)}
    return seal({**head, "request": request, "responses": responses})


def seal(record: Record) -> Record:
    """Return the record with the checksum of its content as last entry."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return {**content, "sha256": _digest(content)}


def with_model(record: Record, model: str) -> Record:
    """Return the record as if `model` had been asked: renamed wherever a reply names it, re-keyed, sealed again."""
    if not _names_model(record):
        return record
    before = record["request"]["json"]["model"]
    request = {**record["request"], "json": {**record["request"]["json"], "model": model}}
    # Error texts name the model too, but not as a part of another's name: gpt-6-luna in gpt-6-lunar.
    name = re.compile(rf"(?<![\w.-]){re.escape(str(before))}(?![\w-])")

    def renamed(value: Json) -> Json:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return name.sub(model, value) if isinstance(value, str) else value

    return make(request, record["source"], renamed(record["responses"]), constructed=record.get("constructed", False))


def takes(record: Record) -> list[list[Json]]:
    """Return the responses as takes in order, each a list of attempts (the SDK's retries)."""
    grouped: dict[int, list[Json]] = {}
    for response in record["responses"]:
        grouped.setdefault(response.get("take", 1), []).append(response)
    return [grouped[number] for number in sorted(grouped)]


def text_of(events: list[Json]) -> str:
    """Return the reply text of a recorded stream, first choice only."""
    pieces = []
    for _ms, data, *_event in events:
        match data:
            case {"choices": [{"delta": {"content": str(piece)}, **choice}, *_]} if not choice.get("index"):
                pieces.append(piece)
    return "".join(pieces)


def file_name(record: Record) -> str:
    """Return `<slug>-<key>.json`, the slug made of the place alone (prompts are Korean)."""
    request = record["request"]
    body = request.get("json")
    words = request.get("path") or request.get("url", "").partition("?")[0]
    streamed = "-stream" if isinstance(body, dict) and body.get("stream") else ""
    slug = re.sub(r"[^a-z0-9]+", "-", words.partition("?")[0].lower()).strip("-")[:48]
    return f"{slug}{streamed}-{record['key']}.json"


def dump(record: Record) -> str:
    """Return the file's text: indented for a diff, one stream event a line, Korean as it is."""
    text = _layout(record, "") + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate is legal JSON but not legal UTF-8
        return json.dumps(record, indent=2) + "\n"
    return text


def _layout(value: Json, indent: str, name: str = "") -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(k, ensure_ascii=False)}: {_layout(v, deeper, k)}" for k, v in value.items()]
        return "{\n" + ",\n".join(deeper + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        lines = [json.dumps(v, ensure_ascii=False) if name == "events" else _layout(v, deeper) for v in value]
        return "[\n" + ",\n".join(deeper + line for line in lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def load(path: Path) -> Record:
    """Read one recording.

    Raises:
        Unreadable: not JSON, not a recording, or written by a newer format.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable("json", str(error).partition("\n")[0]) from None
    if not isinstance(record, dict) or not isinstance(record.get("chatkit"), int):
        raise Unreadable("shape", 'no "chatkit" entry')
    if record["chatkit"] != FORMAT:
        raise Unreadable("format", f"{record['chatkit']}, readable: {FORMAT}")
    try:
        _shape().validate_python(record)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Unreadable("shape", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return record


class _Source(TypedDict):
    kind: StrictStr


class _Sent(TypedDict):
    method: StrictStr
    path: NotRequired[StrictStr]
    url: NotRequired[StrictStr]
    foreign_key: NotRequired[StrictBool]
    json: NotRequired[Any]


class _Fault(TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # type: ignore[misc]
    fault: Literal["timeout", "refused", "reset"]
    take: NotRequired[StrictInt]


class _Reply(TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # type: ignore[misc]
    status: StrictInt
    take: NotRequired[StrictInt]
    ms: NotRequired[StrictFloat]
    headers: NotRequired[dict[StrictStr, StrictStr]]
    json: NotRequired[Any]
    body: NotRequired[StrictStr]
    text: NotRequired[StrictStr]
    events: NotRequired[list[tuple[StrictFloat, Any] | tuple[StrictFloat, Any, StrictStr]]]
    cut: NotRequired[StrictInt]


class _Shape(TypedDict):
    key: StrictStr
    source: _Source
    request: _Sent
    responses: Annotated[list[_Fault | _Reply], pydantic.Field(min_length=1)]


@functools.cache
def _shape() -> pydantic.TypeAdapter[_Shape]:
    return pydantic.TypeAdapter(_Shape)


def load_folder(path: Path) -> Folder:
    """Read every recording of a lesson; unreadable files are set aside, not raised."""
    folder = Folder(path)
    for file in sorted(path.glob("*.json")):
        try:
            folder.add(file, load(file))
        except Unreadable as error:
            folder.broken[file] = error
    return folder


def find_secrets(text: str, own: Iterable[str] = ()) -> list[str]:
    """Return what looks secret in a text: key patterns and any of the `own` values."""
    found = [f"{name} {m[0][:6]}…" for name, pattern in _SECRETS.items() if (m := pattern.search(text))]
    return found + ["OPENAI_API_KEY" for value in own if len(value) >= 8 and value in text]


def save(folder: Path, record: Record, *, own_secrets: Iterable[str] = ()) -> Path:
    """Write a record under its own name, whole or not at all.

    Raises:
        ChatkitError: the text holds a secret, or the disk refuses; the old file is untouched.
    """
    path, text = folder / file_name(record), dump(record)
    secrets = find_secrets(text, own_secrets)
    if secrets:
        raise ChatkitError(say("secret", file=path.name, what=", ".join(secrets)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise ChatkitError(say("not_saved", file=path.name, reason=error.strerror or error)) from error
    return path


def write_whole(path: Path, text: str) -> None:
    """Replace a text file in one step, so that a crash leaves the old one or the new one."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
