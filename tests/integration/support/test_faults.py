"""The faults are what they say: otherwise the tests that use them prove nothing."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.support.faults import FaultProxy, Freezer
from tests.support.processes import wait_for

Proxy = Callable[[str, int], FaultProxy]


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it hears."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionResetError):
            while heard := client.recv(65536):
                client.sendall(heard)

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connect(proxy: FaultProxy) -> socket.socket:
    """A connection through the proxy."""
    return socket.create_connection((proxy.host, proxy.port), timeout=0.5)


def say(client: socket.socket, text: bytes) -> bytes:
    """What comes back, up to the length of what was said."""
    client.sendall(text)
    heard = b""
    while len(heard) < len(text) and (piece := client.recv(len(text))):
        heard += piece
    return heard


def test_nothing_is_changed_when_all_is_well(fault_proxy: Proxy, echo: int) -> None:
    """Large messages too."""
    with connect(fault_proxy("127.0.0.1", echo)) as client:
        message = bytes(range(256)) * 1000
        client.settimeout(5)
        assert say(client, message) == message


def test_a_black_hole_swallows_on_old_and_new_connections(fault_proxy: Proxy, echo: int) -> None:
    """Both connect and hear nothing; afterwards what was said arrives."""
    proxy = fault_proxy("127.0.0.1", echo)
    with connect(proxy) as old:
        assert say(old, b"a") == b"a"
        proxy.set("blackhole")
        with connect(proxy) as new:
            for client in (old, new):
                with pytest.raises(TimeoutError):
                    say(client, b"b")
            proxy.set("ok")
            assert old.recv(1) == new.recv(1) == b"b"


def test_reset_and_refuse_are_told_apart(fault_proxy: Proxy, echo: int) -> None:
    """A reset comes after the connection, on old ones with the next byte; refuse closes the port, and it comes back."""
    proxy = fault_proxy("127.0.0.1", echo)
    with connect(proxy) as old:
        assert say(old, b"a") == b"a"
        proxy.set("reset")
        with pytest.raises(ConnectionResetError):
            say(old, b"b")
    with pytest.raises(ConnectionResetError), connect(proxy) as new:
        say(new, b"c")
    proxy.set("refuse")
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.set("ok")
    with connect(proxy) as client:
        assert say(client, b"d") == b"d"


def test_cut_resets_what_is_open(fault_proxy: Proxy, echo: int) -> None:
    """Without waiting for the next byte."""
    proxy = fault_proxy("127.0.0.1", echo)
    with connect(proxy) as client:
        assert say(client, b"a") == b"a"
        proxy.set("ok", cut=True)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_latency_and_slow(fault_proxy: Proxy, echo: int) -> None:
    """A delay for each piece, in each direction; and a rate."""
    proxy = fault_proxy("127.0.0.1", echo)
    with connect(proxy) as client:
        proxy.set("latency", seconds=0.1)
        started = time.monotonic()
        assert say(client, b"a") == b"a"
        assert 0.19 <= time.monotonic() - started < 1
        proxy.set("slow", bytes_per_second=50)
        started = time.monotonic()
        assert say(client, b"x" * 10) == b"x" * 10
        assert 0.17 <= time.monotonic() - started < 2


def test_frozen_processes_go_on() -> None:
    """With their children, and whatever was forgotten goes on at the end."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        (child,) = wait_for(psutil.Process(parent.pid).children, what="the child is there")

        def states() -> set[str]:
            return {psutil.Process(parent.pid).status(), child.status()}

        freezer = Freezer()
        freezer.freeze(parent.pid, children=True)
        wait_for(lambda: states() == {"stopped"}, what="both stand still")
        freezer.thaw(parent.pid)
        wait_for(lambda: "stopped" not in states(), what="both go on")
        freezer.freeze(child.pid)
        freezer.freeze(parent.pid)
        freezer.thaw_all()
        wait_for(lambda: "stopped" not in states(), what="both go on again")
    finally:
        parent.communicate(b"\n", timeout=10)


def test_one_connection_of_several_is_abandoned_and_not_even_its_end_passes(fault_proxy: Proxy) -> None:
    """The server hears nothing more on it, not that it was closed either; the others go on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        proxy = fault_proxy("127.0.0.1", listener.getsockname()[1])
        with connect(proxy) as other, listener.accept()[0] as others_server:
            with connect(proxy) as client:
                server, (_, port) = listener.accept()
                wait_for(lambda: port in proxy.upstream_ports, what="the proxy knows both ends")
                proxy.abandon({port})
                client.sendall(b"a")
            with server:
                server.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    server.recv(1)
            other.sendall(b"b")
            others_server.settimeout(5)
            assert others_server.recv(1) == b"b"
