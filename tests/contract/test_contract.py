"""The public contract, byte for byte as it was before issue 11: what is answered, stored and offered.

A file of `golden/` is written anew by ``python -m tests.contract.record`` only when the contract changes on purpose.
Prose may change: descriptions, hints, messages, the help of commands and metrics.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest

from tests.contract.present import GOLDEN, MADE
from tests.support.redis_server import RedisServer, find_binary


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that belongs to these tests: they empty it."""
    server = RedisServer(binary=find_binary("valkey-server") or find_binary("redis-server") or "valkey-server")
    yield server
    server.stop()


@pytest.mark.parametrize("name", MADE)
def test_it_is_as_it_was(name: str, server: RedisServer) -> None:
    """Compares one golden file with what the code of today makes."""
    before, now = (GOLDEN / name).read_bytes().decode(), MADE[name](server)
    if now != before:
        changes = difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", lineterm="", n=1)
        pytest.fail(f"the contract has changed: {name}\n" + "\n".join(line[:1500] for line in [*changes][:60]))


def test_nothing_of_an_earlier_store_is_set_aside(server: RedisServer) -> None:
    """The code of today continues from a store of an earlier commit and refuses no value of it."""
    MADE["stored-from-0.1.0.json"](server)
    with server.client() as client:
        assert client.exists("monitor:states", "monitor:alerting:alerts", "monitor:fleet") == 3
        assert not client.exists("monitor:aside")
