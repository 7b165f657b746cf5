"""The block that keeps everything but loopback from leaving the process in replay."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

from chatkit import browser
from chatkit.errors import NetworkBlocked
from chatkit.messages import say

# Position of the address among each audit event's arguments (Python's table of audit events).
_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
_blocked = False
_hooked = False


def block() -> None:
    """Refuse connections, datagrams and name look-ups beyond loopback from now on.

    An audit hook sees them all, whichever library opens the socket; ZMQ, which carries Jupyter's own
    traffic, does not use Python sockets. A hook cannot be removed, so `unblock` puts it to sleep.
    """
    global _blocked, _hooked
    _blocked = True
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked = True
    if browser.HERE:
        browser.block()


def unblock() -> None:
    global _blocked
    _blocked = False
    browser.unblock()


def is_loopback(host: str) -> bool:
    """Say whether a host name or address stays on this machine."""
    name = host.strip("[]").partition("%")[0].lower()
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _blocked or event not in _EVENTS:
        return
    address = arguments[_EVENTS[event]]
    if not isinstance(address, tuple):
        # A path (str or bytes) in a connection is a local Unix socket; a connected sendmsg has None.
        local = event in ("socket.connect", "socket.sendto", "socket.sendmsg") or address is None
        host = "127.0.0.1" if local else _text(address)
    else:
        host = _text(address[0]) if address else ""
    if not is_loopback(host):
        port = f":{address[1]}" if isinstance(address, tuple) and len(address) > 1 else ""
        raise NetworkBlocked(say("network_blocked", target=f"{host}{port}"))


def _text(host: object) -> str:
    return host.decode("utf-8", "replace") if isinstance(host, bytes) else str(host)
