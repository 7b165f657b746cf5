"""In replay nothing but loopback leaves the process, whichever library opens the socket."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from conftest import Lesson
from openai_server import OpenAIServer

import chatkit
from chatkit import network

FAR = "203.0.113.7"  # TEST-NET-3: nobody answers there
FAR6 = "2001:db8::7"


@pytest.fixture
def closed(lesson: Lesson) -> Iterator[None]:
    lesson.start()
    yield
    chatkit.stop()


def by_aiohttp(url: str) -> None:
    async def get() -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            return await reply.text()

    asyncio.run(get())


def by_asyncio(url: str) -> None:
    host, _, port = url.removeprefix("http://").strip("/").partition(":")

    async def connect() -> None:
        _reader, writer = await asyncio.open_connection(host, int(port or 80))
        writer.close()
        await writer.wait_closed()

    asyncio.run(connect())


def by_urllib(url: str) -> None:
    urllib.request.urlopen(url).read()


def by_legacy_httpx_async(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(url)

    try:
        asyncio.run(get())
    except ExceptionGroup as group:  # anyio connects to a plain address in a task group
        raise group.exceptions[0] from None


LIBRARIES = [requests.get, by_urllib, httpx.get, by_legacy_httpx_async, by_aiohttp, by_asyncio]


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("get", LIBRARIES, ids=lambda get: f"{get.__module__}.{get.__name__}")
@pytest.mark.parametrize("host", ["openai.example", FAR, f"{FAR}:8080"])
def test_no_library_gets_out(get: Callable[[str], Any], host: str) -> None:
    with pytest.raises(chatkit.NetworkBlocked, match=f"막은 연결: {host.partition(':')[0]}"):
        get(f"http://{host}/")


def with_socket(family: int, kind: int, use: Callable[[socket.socket], Any]) -> Callable[[], None]:
    def run() -> None:
        with socket.socket(family, kind) as opened:
            opened.settimeout(0.01)
            use(opened)

    return run


V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
WAYS_OUT = {
    "tcp": with_socket(V4, TCP, lambda s: s.connect((FAR, 80))),
    "tcp, no exception": with_socket(V4, TCP, lambda s: s.connect_ex((FAR, 80))),
    "tcp6": with_socket(V6, TCP, lambda s: s.connect((FAR6, 80))),
    "tcp6, full address": with_socket(V6, TCP, lambda s: s.connect((FAR6, 80, 0, 0))),
    "udp": with_socket(V4, UDP, lambda s: s.sendto(b"x", (FAR, 53))),
    "udp with flags": with_socket(V4, UDP, lambda s: s.sendto(b"x", 0, (FAR, 53))),
    "udp6": with_socket(V6, UDP, lambda s: s.sendto(b"x", (FAR6, 53))),
    "udp sendmsg": with_socket(V4, UDP, lambda s: s.sendmsg([b"x"], [], 0, (FAR, 53))),
    "udp connect": with_socket(V4, UDP, lambda s: s.connect((FAR, 53))),
    "create_connection": lambda: socket.create_connection((FAR, 80), timeout=0.01),
    "getaddrinfo": lambda: socket.getaddrinfo("openai.example", 443),
    "getaddrinfo of bytes": lambda: socket.getaddrinfo(b"openai.example", 443),
    "gethostbyname": lambda: socket.gethostbyname("openai.example"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("openai.example"),
    "gethostbyaddr": lambda: socket.gethostbyaddr(FAR),
    "getnameinfo": lambda: socket.getnameinfo((FAR, 80), 0),
}


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("leave", WAYS_OUT.values(), ids=WAYS_OUT)
def test_no_socket_gets_out(leave: Callable[[], Any]) -> None:
    with pytest.raises(chatkit.NetworkBlocked, match="replay 모드에서는 네트워크를 쓰지 않습니다"):
        leave()


def test_the_message_says_where_to_and_how_to_go_on(closed: None) -> None:
    with pytest.raises(chatkit.NetworkBlocked, match=rf"{FAR}:80\n.*CHATKIT_MODE=live.*\n?.*chatkit\.stop\(\)"):
        WAYS_OUT["tcp"]()


def test_a_block_is_no_oserror_that_a_library_would_hide() -> None:
    assert not issubclass(chatkit.NetworkBlocked, OSError)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("get", LIBRARIES, ids=lambda get: f"{get.__module__}.{get.__name__}")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_is_open(server: OpenAIServer, get: Callable[[str], Any], name: str) -> None:
    port = server.origin.rpartition(":")[2]
    if get in (by_asyncio, by_aiohttp, httpx.get, by_legacy_httpx_async, requests.get):
        get(f"http://{name}:{port}/")
    else:
        with pytest.raises(OSError, match="401"):
            get(f"http://{name}:{port}/")


@pytest.mark.usefixtures("closed")
def test_a_local_datagram_and_a_unix_socket_are_open() -> None:
    with socket.socket(V4, UDP) as receiver, socket.socket(V4, UDP) as sender:
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"x", receiver.getsockname())
        assert receiver.recv(1) == b"x"
        sender.connect(receiver.getsockname())
        sender.sendmsg([b"y"])
        assert receiver.recv(1) == b"y"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
@pytest.mark.usefixtures("closed")
def test_a_unix_socket_is_open() -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind("here.sock")
        listener.listen()
        caller.connect("here.sock")


@pytest.mark.usefixtures("closed")
def test_an_event_loop_runs() -> None:
    async def work() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: 6 * 7)

    assert asyncio.run(work()) == 42


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("ollama.localhost", True),
        ("", True),
        ("10.0.0.1", False),
        ("192.168.0.1", False),
        ("fe80::1%eth0", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.example", False),
        (FAR, False),
        (FAR6, False),
        ("한글.example", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, local: bool) -> None:
    assert network.is_loopback(host) is local


def refused(leave: Callable[[], Any]) -> bool:
    try:
        leave()
    except chatkit.NetworkBlocked:
        return True
    except OSError:
        pass  # no network, or nobody there
    return False


@pytest.mark.parametrize("name", ["udp", "tcp", "getnameinfo"])
def test_after_stop_the_network_is_as_before(lesson: Lesson, name: str) -> None:
    lesson.start()
    assert refused(WAYS_OUT[name])
    chatkit.stop()
    assert not refused(WAYS_OUT[name])
    lesson.start()
    assert refused(WAYS_OUT[name])


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("mode", ["auto", "live", "record"])
def test_modes_that_send_leave_the_network_open(lesson: Lesson, mode: str) -> None:
    lesson.start(mode=mode)
    assert not refused(WAYS_OUT["udp"])
