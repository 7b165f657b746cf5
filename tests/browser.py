"""A real JupyterLab in headless Chromium: run cells in it, look at what they show and what the page asks for."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, Playwright, sync_playwright

PATIENCE = 60.0  # seconds until a broken test ends
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_QUIET = ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
_BARE = [
    "--ServerApp.jpserver_extensions={'jupyterlab': True, 'jupyter_lsp': False, 'jupyter_server_terminals': False}"
]
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none", "maxNumberOutputs": 100_000},
}
_READY = """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'
    && window.jupyterapp.shell.currentWidget.content.widgets.length"""
_RUN = """source => {
    const {shell, commands} = window.jupyterapp, {content} = shell.currentWidget;
    content.activeCellIndex = content.widgets.length - 1;
    content.activeCell.model.sharedModel.setSource(source);
    const {id} = content.activeCell.model, done = () => { (window.ranCells ??= {})[id] = true };
    commands.execute('notebook:run-cell-and-insert-below').then(done, done);
    return id;
}"""
_CELL = "const cell = window.jupyterapp.shell.currentWidget.content.widgets.find(each => each.model.id === id);"


class NoBrowser(Exception):
    """There is no Chromium and no Chrome on this machine."""


class Lab:
    """One notebook in one page; `requests` are the addresses elsewhere that the page asked for and did not get."""

    def __init__(self, page: Page, origin: str, folder: Path) -> None:
        self.page, self.origin, self.folder = page, origin, folder
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        page.set_default_timeout(PATIENCE * 1_000)
        page.on("dialog", self._dismiss)
        page.on("websocket", lambda socket: self._note(socket.url))
        page.context.route(re.compile(rf"^(?!{re.escape(origin)}/)"), self._refuse)

    def open(self, notebook: str) -> None:
        self.page.goto(f"{self.origin}/lab/tree/{notebook}?reset", wait_until="commit")
        self.page.wait_for_function(_READY)

    def start(self, source: str) -> str:
        """Run a new last cell and return its id, without waiting for it."""
        return self.page.evaluate(_RUN, source)

    def run(self, source: str) -> str:
        """Run a new last cell to its end, and return its id."""
        cell = self.start(source)
        self.wait_until_done(cell)
        return cell

    def wait_until_done(self, cell: str) -> None:
        self.wait("id => window.ranCells?.[id]", cell)

    def wait(self, condition: str, argument: Any = None) -> None:
        """Wait until a function of JavaScript returns something true; `%s` in it finds the cell called `id`."""
        self.page.wait_for_function(condition.replace("%s", _CELL), arg=argument)

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Return what a function of JavaScript returns; `%s` in it finds the cell called `id`."""
        return self.page.evaluate(function.replace("%s", _CELL), argument)

    def outputs(self, cell: str) -> list[dict[str, Any]]:
        """Return a cell's outputs as they would be saved."""
        return self.evaluate("id => { %s return cell.model.outputs.toJSON() }", cell)

    def write(self, name: str, text: str) -> None:
        """Put a file beside the notebook."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def command(self, name: str) -> None:
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note(self, address: str) -> None:
        if not address.startswith(self.origin.replace("http", "ws")):
            self.requests.append(address)

    def _refuse(self, route: Any) -> None:
        self.requests.append(route.request.url)
        route.abort()


@contextlib.contextmanager
def open_lab(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Lab]:
    """Start JupyterLab on an empty notebook in a folder of its own, in a page of its own.

    Raises:
        NoBrowser: nothing to show it in.
    """
    # The server starts while the browser does.
    with _server(folder, environment or {}) as server, sync_playwright() as playwright, chromium(playwright) as browser:
        page = browser.new_page(locale="ko-KR", viewport={"width": 1200, "height": 900})
        lab = Lab(page, server(), folder / "notebooks")
        lab.open("page.ipynb")
        yield lab


@contextlib.contextmanager
def chromium(playwright: Playwright) -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    try:
        # Without one on PATH, Chrome where Windows and macOS have it.
        where = {"executable_path": found} if found else {"channel": "chrome"}
        browser = playwright.chromium.launch(args=_FLAGS, **where)
    except Error as error:
        raise NoBrowser(str(error)) from error
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def _server(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Start JupyterLab; what it gives waits until it answers and returns its origin."""
    port, log = free_port(), folder / "lab.log"
    with tempfile.TemporaryDirectory(prefix="lab-") as sockets:  # whose path must be short; pytest's are not
        environment = {**_environment(folder, environment), "JUPYTER_RUNTIME_DIR": sockets}
        with log.open("wb") as output:
            server = subprocess.Popen(_command(folder, port), env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield lambda: _answering(f"http://127.0.0.1:{port}", server, log)
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _command(folder: Path, port: int) -> list[str]:
    root = folder / "notebooks"
    root.mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cell = {"cell_type": "code", "id": "first", "metadata": {}, "source": "", "outputs": [], "execution_count": None}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell]}
    (root / "page.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", f"--ServerApp.root_dir={root}"),
        *([] if sys.platform == "win32" else ["--KernelManager.transport=ipc"]),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        *_QUIET,
        *_BARE,
    ]


def _environment(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    settings = folder / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(_SETTINGS), encoding="utf-8")
    own = {name: str(folder / name.lower()) for name in ("HOME", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own |= {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTER_PLATFORM_DIRS": "1", "PYTHONUTF8": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATKIT_", "OPENAI_"))}
    return {**kept, **own, **environment}


def free_port() -> int:
    """Return a port below those that the system gives to whoever asks for any: it is still free when a server is up."""
    while True:
        port = random.SystemRandom().randrange(12_000, 30_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def _answering(origin: str, server: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{origin}/api", timeout=PATIENCE):
                return origin
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-2_000:]) from None
            time.sleep(0.05)
