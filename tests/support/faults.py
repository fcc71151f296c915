"""Faults: a network that delays, swallows, resets or refuses, and stopped processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Callable, Container, Iterator
from typing import Literal

import psutil
import pytest

Mode = Literal["ok", "latency", "slow", "blackhole", "reset", "refuse"]


class FaultProxy:
    """A TCP proxy on a free port of 127.0.0.1, in front of a server, whose faults are switched while it runs.

    `latency` delays every piece, or a share of the pieces chosen at random, `slow` lets bytes through at a rate,
    `blackhole` accepts and swallows on old and new connections, `reset` accepts and resets, `refuse` closes the port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._upstream = (host, port)
        self._mode: Mode = "ok"
        self._seconds = 0.0
        self._share = 1.0
        self._random = random.Random(1)
        self._bytes_per_second = 0.0
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._abandoned: set[asyncio.StreamWriter] = set()
        self._pairs: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._call(self._listen())

    def set(
        self,
        mode: Mode,
        *,
        seconds: float = 0.0,
        share: float = 1.0,
        bytes_per_second: float = 100.0,
        cut: bool = False,
    ) -> None:
        """Switch to a mode, also for open connections. `cut` resets the open ones.

        With `latency`, a ``share`` of the pieces takes so many ``seconds``, and what follows waits for them, as in TCP.
        """
        self._share = share
        self._call(self._set(mode, seconds, bytes_per_second, cut))

    @property
    def upstream_ports(self) -> tuple[int, ...]:
        """Return the ports from which the open connections reach the server."""
        return tuple(self._pairs)

    def abandon(self, upstream_ports: Container[int] | None = None) -> None:
        """Swallow everything on the open connections from now on: half-open, as after the restart of a firewall.

        Even their end is not passed on. ``upstream_ports`` selects among them, see the property.
        """
        self._call(self._abandon(upstream_ports))

    def close(self) -> None:
        """Close the port and every connection."""
        self._call(self._set("refuse", 0.0, 1.0, True))
        self._call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5)  # type: ignore[arg-type]

    async def _set(self, mode: Mode, seconds: float, bytes_per_second: float, cut: bool) -> None:
        self._mode, self._seconds, self._bytes_per_second = mode, seconds, bytes_per_second
        self._changed.set()
        self._changed = asyncio.Event()
        if mode == "refuse" and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif mode != "refuse" and self._listener is None:
            await self._listen()
        if cut:
            for writer in list(self._open):
                _reset(writer)

    async def _abandon(self, upstream_ports: Container[int] | None) -> None:
        for port, pair in self._pairs.items():
            if upstream_ports is None or port in upstream_ports:
                self._abandoned |= {*pair}

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            _reset(writer)
            return
        self._open.add(writer)
        try:
            await self._connect_through(reader, writer)
        except (OSError, asyncio.CancelledError):  # cancelled only by `close`
            _reset(writer)
        finally:
            self._open.discard(writer)

    async def _connect_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self._mode == "blackhole":
            await self._changed.wait()
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._open.add(up_writer)
        port: int = up_writer.get_extra_info("sockname")[1]
        self._pairs[port] = (writer, up_writer)
        try:
            await asyncio.gather(self._pump(reader, up_writer, writer), self._pump(up_reader, writer, up_writer))
        finally:
            self._open.discard(up_writer)
            self._pairs.pop(port, None)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while self._mode == "blackhole":
                    await self._changed.wait()
                if writer in self._abandoned:
                    continue
                if self._mode == "reset":
                    _reset(writer)
                    _reset(back)
                    return
                await self._pass(data, writer)
        while self._mode == "blackhole":
            await self._changed.wait()
        if writer not in self._abandoned:
            writer.close()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._mode == "latency" and self._random.random() < self._share:
            await asyncio.sleep(self._seconds)
        size = 1 if self._mode == "slow" else len(data)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if self._mode == "slow":
                await asyncio.sleep(1 / self._bytes_per_second)


class Freezer:
    """Freezer of processes with SIGSTOP, which can thaw all of them."""

    def __init__(self) -> None:
        self._frozen: list[int] = []

    def freeze(self, pid: int, *, children: bool = False) -> None:
        """Stop a process, with ``children`` its children, too. Connections stay open, and ports still accept."""
        for each in [pid, *(_children(pid) if children else [])]:
            self._frozen.append(each)
            os.kill(each, signal.SIGSTOP)

    def thaw(self, pid: int) -> None:
        """Continue a process, and those of its children that were stopped with it."""
        family = {pid, *_children(pid)}
        for each in [each for each in self._frozen if each in family]:
            self._frozen.remove(each)
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)

    def thaw_all(self) -> None:
        """Continue all processes."""
        while self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._frozen.pop(), signal.SIGCONT)


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str, int], FaultProxy]]:
    """Provide `fault_proxy(host, port)`, which puts a proxy in front of a server for one test."""
    proxies: list[FaultProxy] = []

    def make(host: str, port: int) -> FaultProxy:
        proxies.append(FaultProxy(host, port))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    """Provide a freezer. Processes that are still frozen at the end of the test are thawed.

    Request it after the fixture that starts the server, so that the server is thawed before it is stopped.
    """
    freezer = Freezer()
    yield freezer
    freezer.thaw_all()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN, by a linger time of zero (socket(7))."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []
