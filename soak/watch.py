"""What the monitor said and when: every state that appeared in the store, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.model.checks import Status, Transition
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.store import RedisStore


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a check from ``at`` on (the store's clock, when it could be read)."""

    check: str
    status: str
    verdict: str
    at: float
    data: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None

    @property
    def words(self) -> tuple[str, str, bool]:
        """What makes it another thing to say."""
        return self.status, self.verdict, self.suspended

    @property
    def suspended(self) -> bool:
        """Whether it says that verdicts are suspended, because Redis itself was away."""
        return bool(self.data.get("suspended"))


class Watcher:
    """Reads the store ten times a second while the `with` block runs."""

    def __init__(self, url: str) -> None:
        self.timeline: list[Said] = []
        self.transitions: list[Transition] = []
        self.now: dict[str, Said] = {}
        self._store = RedisStore(url, timeout_seconds=0.5, retries=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._cursor: str | None = None
        self._after: str | None = None

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._store.close()

    def verdict(self, check: str) -> str | None:
        """What is said of the check now; None when nothing is."""
        said = self.now.get(check)
        return said.verdict if said else None

    def first(self, check: str, verdicts: Container[str], *, after: float) -> tuple[float, str] | None:
        """When any of the verdicts was first seen after a time (that time, if it stood already), and which; or None."""
        of_check = [said for said in self.timeline if said.check == check]
        before = [said for said in of_check if said.at <= after]
        if before and before[-1].verdict in verdicts:
            return after, before[-1].verdict
        seen = ((said.at, said.verdict) for said in of_check if said.at > after and said.verdict in verdicts)
        return next(seen, None)

    def alarms(self, check: str, *, start: float, end: float) -> int:
        """How often somebody was to be told that something is wrong with the check."""
        mine = [each for each in list(self.transitions) if each.check == check and start < each.at <= end]
        return sum(each.old is Status.OK and each.new is not Status.OK for each in mine)

    def during(self, start: float, end: float, wanted: Callable[[Said], bool]) -> list[Said]:
        """What was said in a time that is ``wanted``, what stood at its start included."""
        standing: dict[str, Said] = {}
        found = []
        for said in list(self.timeline):
            if said.at <= start:
                standing[said.check] = said
            elif said.at <= end:
                found.append(said)
        return [said for said in (*standing.values(), *found) if wanted(said)]

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            try:
                changes = self._store.states.changes(self._cursor)
                self._read_transitions()
            except StoreUnavailable:
                continue
            self._cursor = changes.cursor
            if changes.full:
                self.now = {name: said for name, said in self.now.items() if name in changes.states}
            for name, state in changes.states.items():
                result = state.result
                stale = state.stale_since is not None
                verdict = "stale" if stale else result.reason or str(result.data.get("verdict", state.status))
                said = Said(
                    name, "stale" if stale else str(state.status), verdict, changes.read_at, result.data, result.message
                )
                before = self.now.get(name)
                self.now[name] = said
                if before is None or before.words != said.words:
                    self.timeline.append(said)

    def _read_transitions(self) -> None:
        while page := self._store.states.transitions(after=self._after, limit=500):
            self._after = page[-1][0]
            self.transitions += [transition for _, transition in page]
