"""The built site: where it is, and a server for it below a path, as on a host that has other things too."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from place import PATH, PROJECT, SITE

sys.path.append(str(PROJECT / "tests"))


@pytest.fixture(scope="session")
def site() -> Path:
    assert (SITE / "jupyter-lite.json").exists(), "build the site first: python start.py lite"
    return SITE


class Served:
    """A site that is being served: its origin, and the bytes that each of its files took."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.sent: dict[str, int] = {}

    @property
    def megabytes(self) -> float:
        return sum(self.sent.values()) / 1e6


@pytest.fixture(scope="session")
def served(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("host")
    (root / PATH).parent.mkdir()
    (root / PATH).symlink_to(site, target_is_directory=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source, outputfile):
            content = source.read()
            served.sent[self.path.partition("?")[0]] = len(content)
            outputfile.write(content)

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    served = Served(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    server.shutdown()
