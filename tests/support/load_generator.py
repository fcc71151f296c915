"""Process of `tests.support.load`: ``python -m tests.support.load_generator URL... --rate N --seconds S``."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.support.load import Load, Sample


async def generate(
    urls: Sequence[str],
    *,
    per_second: float,
    seconds: float,
    fresh: bool,
    timeout_seconds: float,
    host: str | None = None,
    stopped: asyncio.Event | None = None,
) -> list[Sample]:
    """Generate the load in the running event loop, at most ``timeout_seconds`` longer than ``seconds``."""
    targets = [_Target(url, fresh=fresh, host=host) for url in urls]
    stopped = stopped or asyncio.Event()
    begin = time.monotonic()
    requests: list[asyncio.Task[Sample]] = []
    for number in range(int(per_second * seconds)):
        at = begin + number / per_second
        while (wait := at - time.monotonic()) > 0 and not stopped.is_set():
            await asyncio.sleep(wait)
        if stopped.is_set():
            break
        requests.append(asyncio.create_task(targets[number % len(targets)].ask(at, timeout_seconds)))
    samples = await asyncio.gather(*requests)
    for target in targets:
        target.close()
    return samples


class _Target:
    """URL with the idle connections to its server."""

    def __init__(self, url: str, *, fresh: bool, host: str | None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._fresh = fresh
        self._idle: list[_Connection] = []
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {host or parts.netloc}", "User-Agent: load", "Accept: */*"]
        self._request = "\r\n".join([*lines, *(["Connection: close"] if fresh else []), "", ""]).encode()

    async def ask(self, at: float, timeout_seconds: float) -> Sample:
        late_ms = (time.monotonic() - at) * 1000
        status, error = None, None
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = self._take() or await self._connect()
                try:
                    status = await connection.ask(self._request)
                except BaseException:
                    connection.close()
                    raise
                self._give_back(connection)
        except TimeoutError:
            error = f"no answer within {timeout_seconds:g} s"
        except OSError as problem:
            error = f"{type(problem).__name__}: {problem}"
        return Sample(self._url, at, (time.monotonic() - at) * 1000, status, error, late_ms)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _give_back(self, connection: _Connection) -> None:
        if self._fresh or not connection.is_open:
            connection.close()
        else:
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, *self._address)
        return connection


class _Connection(asyncio.Protocol):
    """Minimal HTTP/1.1 connection that detects a complete response."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if _is_complete(self._received):
            self._resolve()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is None or self._answer.done():
            return
        head, end_of_head, _ = self._received.partition(b"\r\n\r\n")
        if end_of_head and not any(
            name in head.lower() for name in (b"\r\ncontent-length:", b"\r\ntransfer-encoding:")
        ):
            self._resolve()  # such a response ends with its connection
        else:
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer was complete"))

    def _resolve(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(int(self._received[9:12]))


def _is_complete(received: bytes) -> bool:
    head, end_of_head, body = received.partition(b"\r\n\r\n")
    if not end_of_head:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
        if name == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return False


def main() -> None:
    """Generate the load. With ``--json`` print all samples, for `LoadProcess`; else print a line about each URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.load_generator", description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--rate", type=float, default=500, help="requests per second, to all URLs in turn (500)")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--timeout", type=float, default=5, help="seconds after which a request is unanswered (5)")
    parser.add_argument("--fresh", action="store_true", help="a new connection for each request")
    parser.add_argument("--host", help="the Host header")
    parser.add_argument("--json", action="store_true", help="all samples, and end early on a line of standard input")
    options = parser.parse_args()
    samples = asyncio.run(_main(options))
    if options.json:
        json.dump([dataclasses.astuple(sample) for sample in samples], sys.stdout)
        return
    for url in options.urls:
        sys.stdout.write(f"{url} {Load(tuple(samples)).of(url)}\n")


async def _main(options: argparse.Namespace) -> list[Sample]:
    stopped = asyncio.Event()
    if options.json:
        loop = asyncio.get_running_loop()

        def on_stdin() -> None:
            if sys.stdin.readline():
                stopped.set()
            loop.remove_reader(sys.stdin)  # else the end of the file would call it again and again

        loop.add_reader(sys.stdin, on_stdin)
        sys.stdout.write("begun\n")
        sys.stdout.flush()
    return await generate(
        options.urls,
        per_second=options.rate,
        seconds=options.seconds,
        fresh=options.fresh,
        timeout_seconds=options.timeout,
        host=options.host,
        stopped=stopped,
    )


if __name__ == "__main__":
    main()
