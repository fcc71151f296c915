"""Record of the project that owns the store: the key ``PREFIX`` + ``project``."""

from __future__ import annotations

from monitor.agent.identity import RECORD_BYTES, Identity, decode, encode
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.connection import RedisConnection

ATTEMPTS = 16
MAX_FACTS_BYTES = 4_000_000
LEASE_SECONDS = 30.0
"""The record of a project with a random name expires after this time, unless a process claims it again before."""


class RedisOwnership:
    """A :class:`monitor.ports.store.Ownership` over the store's connection."""

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection, self._key = connection, f"{prefix}project"
        self._facts_key = f"{prefix}project-facts"

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when the store has no owner. Raise StoreUnavailable."""
        return decode(self._read_record())

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if the store has no owner, or renew its record. Return the owner.

        Raise StoreUnavailable.
        """
        stored = self._read_record()
        found = decode(stored)
        return found if found not in (None, project) else decode(self._write(stored, project))

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous owner. Raise StoreUnavailable."""
        for _ in range(ATTEMPTS):
            stored = self._read_record()
            if decode(self._write(stored, project)) == project:
                return decode(stored)
        raise StoreUnavailable("another process keeps changing the project of the store")

    def read_facts(self) -> str | None:
        """Return the text that `store_facts` stored; None if there is none or it is too large.

        Raise StoreUnavailable.
        """
        length = self._connection.ask("STRLEN", self._facts_key)
        if not length or length > MAX_FACTS_BYTES:
            return None
        text = self._connection.ask("GET", self._facts_key)
        return text.decode(errors="replace") if isinstance(text, bytes) else None

    def store_facts(self, text: str, seconds: float) -> None:
        """Store a text with facts about the project, which expires after ``seconds``. Raise StoreUnavailable."""
        self._connection.ask("SET", self._facts_key, text, "PX", round(seconds * 1e3))

    def _read_record(self) -> bytes:
        return self._run_script(b"", "", 0)

    def _write(self, stored: bytes, project: Identity) -> bytes:
        return self._run_script(stored, encode(project), LEASE_SECONDS if project.random else 0)

    def _run_script(self, stored: bytes, value: str, lease_seconds: float) -> bytes:
        return bytes(
            self._connection.run(
                "project_claim", [self._key], [stored, value, round(lease_seconds * 1e3), RECORD_BYTES]
            )
        )
