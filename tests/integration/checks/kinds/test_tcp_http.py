"""The kinds that talk to any server: tcp and http."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.checks.base import Kind
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Status
from tests.support.faults import FaultProxy
from tests.support.processes import free_port

Serve = Callable[[Callable[[socket.socket], None]], int]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def http(port: int, scheme: str = "http", path: str = "/", **options: Any) -> Kind:
    return KINDS.build("http", {"url": f"{scheme}://127.0.0.1:{port}{path}", **options})


def request_of(client: socket.socket) -> bytes:
    """What a client says up to the end of its headers."""
    heard = b""
    while b"\r\n\r\n" not in heard and (piece := client.recv(65536)):
        heard += piece
    return heard


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    """A server that hears a request and says this."""

    def speak(client: socket.socket) -> None:
        request_of(client)
        client.sendall(answer)

    return speak


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


def test_tcp_connects(serve: Serve) -> None:
    """An open port is ok, and says how long it took."""
    outcome = KINDS.build("tcp", {"host": "127.0.0.1", "port": serve(lambda client: None)}).run(2.0)
    assert verdict(outcome) == (Status.OK, None)
    assert 0 < outcome.data["connect_ms"] < 2000


def test_tcp_refused() -> None:
    """A closed port is refused."""
    outcome = KINDS.build("tcp", {"host": "127.0.0.1", "port": free_port()}).run(2.0)
    assert verdict(outcome) == (Status.ERROR, "refused")


def test_tcp_name_that_does_not_exist() -> None:
    """A name that cannot be resolved is not a closed port (.invalid never exists: RFC 2606)."""
    outcome = KINDS.build("tcp", {"host": "no-such-host.invalid", "port": 80}).run(5.0)
    assert verdict(outcome) == (Status.ERROR, "name_resolution")


def test_tcp_that_does_not_answer() -> None:
    """A listener whose queue of connections is full answers no SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):
            started = time.monotonic()
            outcome = KINDS.build("tcp", {"host": address[0], "port": address[1]}).run(0.5)
    assert verdict(outcome) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 2


def test_http_ok_and_what_is_sent(serve: Serve) -> None:
    """One request with our headers; the status is data."""
    heard: list[bytes] = []

    def speak(client: socket.socket) -> None:
        heard.append(request_of(client))
        client.sendall(OK)

    outcome = http(serve(speak), path="/ping?deep=1", headers={"Authorization": "Bearer swordfish"}).run(2.0)
    assert verdict(outcome) == (Status.OK, None)
    assert outcome.data == {"status_code": 200}
    assert heard[0].startswith(b"GET /ping?deep=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer swordfish\r\n" in heard[0]


def test_http_head(serve: Serve) -> None:
    """HEAD has no body to wait for, whatever its Content-Length says."""
    outcome = http(serve(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")), method="HEAD").run(2.0)
    assert verdict(outcome) == (Status.OK, None)


@pytest.mark.parametrize("status", [b"503 Unavailable", b"302 Found\r\nLocation: /elsewhere", b"204 No Content"])
def test_http_unexpected_status(serve: Serve, status: bytes) -> None:
    """Any status that was not asked for, redirects among them; its number is data."""
    outcome = http(serve(saying(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"))).run(2.0)
    assert verdict(outcome) == (Status.ERROR, "unexpected_status")
    assert outcome.data == {"status_code": int(status[:3])}


def test_http_expected_status(serve: Serve) -> None:
    """Several may be fine."""
    port = serve(saying(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))
    assert http(port, expected_status=[200, 401]).run(2.0).status is Status.OK


def test_http_body(serve: Serve) -> None:
    """The text must be there."""
    port = serve(saying(OK))
    assert http(port, contains="hell").run(2.0).status is Status.OK
    assert verdict(http(port, contains="heaven").run(2.0)) == (Status.ERROR, "unexpected_body")


def test_http_reads_a_chunked_body(serve: Serve) -> None:
    """A text across two chunks is found."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert http(serve(saying(chunked)), contains="hello").run(2.0).status is Status.OK


def test_http_reads_no_more_than_it_needs(serve: Serve) -> None:
    """An endless body ends with its first MiB."""

    def endless(client: socket.socket) -> None:
        request_of(client)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"x" * 65536)

    assert http(serve(endless)).run(5.0).status is Status.OK


def test_http_slow_drip(serve: Serve) -> None:
    """A body of which a byte comes now and then never meets a socket's timeout; it meets the deadline."""

    def drip(client: socket.socket) -> None:
        request_of(client)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            client.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    assert verdict(http(serve(drip)).run(0.5)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 1


def test_http_failures_of_the_network(serve: Serve, fault_proxy: Callable[[str, int], FaultProxy]) -> None:
    """Black hole, reset and closed port, each by its name; and fine again afterwards."""
    proxy = fault_proxy("127.0.0.1", serve(saying(OK)))
    for mode, expected in (("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")):
        proxy.set(mode, cut=True)
        assert verdict(http(proxy.port).run(0.5)) == (Status.ERROR, expected)
    proxy.set("ok")
    assert http(proxy.port).run(2.0).status is Status.OK


def test_http_of_something_else(serve: Serve) -> None:
    """A server that does not speak HTTP, and one that hangs up."""
    assert verdict(http(serve(lambda client: client.sendall(b"220 mail\r\n"))).run(2.0)) == (
        Status.ERROR,
        "invalid_answer",
    )
    assert verdict(http(serve(lambda client: None)).run(2.0)) == (Status.ERROR, "reset")


def test_http_ignores_proxies_of_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check is about the server, not about who forwards to it."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert http(serve(saying(OK))).run(2.0).status is Status.OK


def test_https(serve: Serve, certificate: Path) -> None:
    """A certificate nobody signed is not fine, unless it is trusted or not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def speak(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            saying(OK)(secured)

    port = serve(speak)
    assert verdict(http(port, "https").run(2.0)) == (Status.ERROR, "tls")
    assert http(port, "https", ca_file=str(certificate)).run(2.0).status is Status.OK
    assert http(port, "https", verify_tls=False).run(2.0).status is Status.OK


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://user:swordfish@host/"},
        {"url": "ftp://host/"},
        {"url": "http://host/", "method": "HEAD", "contains": "x"},
        {"url": "http://host/", "expected_status": []},
        {"url": "http://host/", "expected_status": [99]},
    ],
)
def test_http_options_that_make_no_sense(options: dict[str, Any]) -> None:
    """Said before anything runs, and without credentials."""
    with pytest.raises(ValidationError) as caught:
        KINDS.build("http", options)
    assert "swordfish" not in str(caught.value)
