"""Start the lab command given as argument, fetch lesson 1 from it as a browser would, and stop it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request


def main(line):
    words = shlex.split(line)
    server = subprocess.Popen(
        [sys.executable, *words[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        for said in server.stdout:
            print(said, end="")
            found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab/tree/\S+", said)
            if found:
                return fetch(found[0])
        return "the server ended without printing its address"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def get(address, patience=30.0):
    """Read a page, patiently: JupyterLab prints its address a moment before it listens."""
    end = time.monotonic() + patience
    while True:
        try:
            return urllib.request.urlopen(address, timeout=60).read()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def fetch(address):
    parts = urllib.parse.urlsplit(address)
    name = parts.path.removeprefix("/lab/tree/")
    page = get(address).decode("utf-8")
    contents = parts._replace(path=f"/api/contents/{name}").geturl()
    lesson = json.loads(get(contents))
    title = "".join(lesson["content"]["cells"][0]["source"]).splitlines()[0]
    print(f"served: {name}: {title}")
    return 0 if "jupyter-config-data" in page and title.startswith("# 1.") else "not the lesson that was expected"


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    sys.exit(main(sys.argv[1]))
