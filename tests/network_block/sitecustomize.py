"""Loaded by every Python of the notebook run: nothing but loopback may be reached, and each attempt is written down.

Independent of chatkit's own block, so that the run proves it.
"""

import os
import sys

_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
_LOOPBACK = ("127.", "localhost", "::1", "None")


def _refuse(event, arguments):
    if event not in _EVENTS:
        return
    address = arguments[0] if event.startswith("socket.get") else arguments[1]
    host = address[0] if isinstance(address, tuple) else address if event.startswith("socket.get") else "localhost"
    if str(host).startswith(_LOOPBACK):
        return
    if log := os.environ.get("NETWORK_BLOCK_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{event} {host}\n")
    raise PermissionError(f"the test run may not reach {host!r}")


sys.addaudithook(_refuse)
