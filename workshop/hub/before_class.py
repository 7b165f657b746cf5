"""Start every learner's server before they come: `python before_class.py HUB_API SEATS`, with HUB_TOKEN set.

It needs only Python, and works with any JupyterHub: HUB_API is its address with `/hub/api`, SEATS how many.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import sys
import time
import urllib.error
import urllib.request

AT_ONCE = 4
PATIENCE = 600  # seconds for one server
NOT_NOW = (429, 502, 503)  # the hub is busy with others


def main(api: str, seats: int) -> int:
    wait_for_hub(api)
    names = [f"seat-{number:02}" for number in range(1, seats + 1)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as starters:
        for name, ready in zip(names, starters.map(lambda name: started(api, name), names), strict=True):
            print(f"{name}: {'준비됨' if ready else '시작하지 못함'}", flush=True)
            if not ready:
                return 1
    print("모두 준비되었습니다.", flush=True)
    return 0


def wait_for_hub(api: str) -> None:
    """Wait until the hub answers: it may have been started a moment ago."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            read(api, "/")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def started(api: str, name: str) -> bool:
    """Ask for a user and their server, and wait until it answers."""
    ask(api, "POST", f"/users/{name}")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if ask(api, "POST", f"/users/{name}/server") in NOT_NOW:
            time.sleep(2)
        user = json.loads(read(api, f"/users/{name}"))
        if user.get("servers", {}).get("", {}).get("ready"):
            return True
        time.sleep(1)
    return False


def ask(api: str, method: str, path: str) -> int:
    try:
        with urllib.request.urlopen(_request(api, method, path), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def read(api: str, path: str) -> bytes:
    with urllib.request.urlopen(_request(api, "GET", path), timeout=60) as answer:
        return bytes(answer.read())


def _request(api: str, method: str, path: str) -> urllib.request.Request:
    headers = {"Authorization": f"token {os.environ['HUB_TOKEN']}"}
    return urllib.request.Request(api + path, method=method, headers=headers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
