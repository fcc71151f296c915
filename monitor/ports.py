"""What the use cases need from the outside world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from monitor.agent.identity import Identity
from monitor.agent.protocol import Beacon
from monitor.alert_states import Alert, AlertsOverview, Silence
from monitor.config import CheckSpec
from monitor.history.buckets import Buckets
from monitor.history.samples import Sample, Samples
from monitor.history.uptime import Uptimes
from monitor.model import NO_PAST, Changes, Flight, Notice, Outcome, Past, Snapshot, State, Transition, Window

Reducer = Callable[[State | None], tuple[State, tuple[Transition, ...]]]


class StoreUnavailable(Exception):
    """The store did not answer in time, or answered with an error. Its text is free of credentials.

    ``reason`` is the code of the error that it answered; None when it did not answer.
    """

    def __init__(self, text: str = "", reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class FlightRefused(Exception):
    """The flight cannot be taken: ``reason`` is ``busy`` (somebody holds it) or ``overdue``."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason


class FlightLost(Exception):
    """The flight's lease ran out, or somebody else has taken the check since: nothing was written."""


class ExecutorUnavailable(Exception):
    """Nothing can be run just now: no process could be had to run it in."""


class StateStore(Protocol):
    """The states of the checks, and the flights and windows by which they are written.

    Every method may raise :class:`StoreUnavailable`; none blocks longer than its timeouts.
    """

    def now(self) -> float:
        """The store's clock, in seconds since the Unix epoch."""
        ...

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight, or raise :class:`FlightRefused`.

        Idempotent per ``run_id``. Refused as ``overdue`` once the store's clock has passed ``overdue_at``. The flight
        brings the memory of the check's last run.
        """
        ...

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state of ``flight.check`` by ``reducer(state)`` and free the flight: one optimistic transaction.

        State, history, transitions and ``memory`` (unless None) are written together or not at all. Applied once per
        ``flight.run_id`` even when a reply is lost. Raises :class:`FlightLost` when the flight is no longer the
        current one.
        """
        ...

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, history: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks that one flight observed; the transitions of each.

        Each check as in :meth:`update`, but the flight, whose own check is none of them, is kept: several calls may
        follow one another, and then :meth:`release`. Only checks in ``history`` leave a sample there.
        """
        ...

    def release(self, flight: Flight) -> None:
        """Free a flight without a result; does nothing when it is no longer ours."""
        ...

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time since the last claim, so that each moment is dispatched by one dispatcher only.

        None when the last claim is younger than ``at_least_seconds``.
        """
        ...

    def dispatched_at(self) -> float | None:
        """When the last window was claimed, by the store's clock; None when there has been none."""
        ...

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """The states of ``checks`` (all when None). What cannot be understood is left out."""
        ...

    def changes(self, cursor: str | None) -> Changes:
        """What was written since ``cursor`` (everything when None, or when the cursor means nothing any more)."""
        ...

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Stored transitions, oldest first, as (cursor, transition), after the given cursor."""
        ...

    def forget(self, checks: Iterable[str]) -> None:
        """Remove everything about ``checks`` but their past transitions."""
        ...


class Reaches(NamedTuple):
    """How far back history goes, in epoch seconds; None where there is none."""

    raw: float | None = None
    rollups: float | None = None


class Compacted(NamedTuple):
    """What one compaction did: hours that were closed or added to, blocks that had to go for the memory budget, and
    the bytes that history occupies now."""

    hours: int = 0
    evicted: int = 0
    kept_bytes: int = 0


class History(Protocol):
    """What was observed. Samples are written by :class:`StateStore`, together with the state that they are of.

    Every method may raise :class:`StoreUnavailable`. What cannot be understood is as good as absent.
    """

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """The check's samples in [since, until), and before them the one that still holds at ``since``, if any.

        With their series of these ``names``, all when None.
        """
        ...

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Buckets of each check from that of ``since`` on, up to the bucket's end ``until``, or up to now.

        Samples that are not rolled up yet are in them. A check of which nothing is known has empty ones.
        """
        ...

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """The figures of each check's windows up to now (``spans`` by name, in seconds), and of so many UTC days.

        What `monitor.history.uptime` makes of roll-ups, for less: of many checks and days.
        """
        ...

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """The last sample of each check up to the moment ``at``; not of those that have none that may hold still."""
        ...

    def reaches(self) -> Reaches:
        """How far back there are samples, and roll-ups."""
        ...

    def compact(self, now: float) -> Compacted:
        """Pack and roll up what is waiting, drop what is too old, and then the oldest until the budget is kept.

        Idempotent: may be ended anywhere, run again, and run by several at once.
        """
        ...


class Executor(Protocol):
    """Runs a check where it can be ended, whatever it is doing."""

    def start(self) -> None:
        """Get ready, so that the first check does not have to wait. Raises :class:`ExecutorUnavailable`."""
        ...

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """The outcome and the response time in milliseconds. Raises :class:`ExecutorUnavailable` and nothing else.

        A check that is not done after ``check.timeout_seconds`` is ended: status ``error``, reason ``timeout``.
        """
        ...

    def close(self) -> None:
        """End what is idle."""
        ...


@dataclass(frozen=True, slots=True)
class Undecided:
    """What nobody has decided yet whom to tell of, and what that depends on.

    ``transitions`` are the oldest; ``alerts`` those of their checks, or all. ``broken`` tells that some transitions may
    have been lost since the last decision (or that there was none): then ``transitions`` are all that are stored (of
    the last minute, if there was none), and the states have to be compared with them. ``moved`` tells that there is
    something behind the cursor. ``version`` changes with every decision.
    """

    version: str
    cursor: str
    read_at: float
    transitions: tuple[Transition, ...]
    alerts: Mapping[str, Alert]
    silences: tuple[Silence, ...]
    broken: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that is ours to deliver for the time of a lease. ``failures`` of its channel in a row came before."""

    channel: str
    token: str
    notice: Notice
    attempts: int
    failures: int
    taken_at: float
    raw: bytes = field(repr=False, compare=False)


class Undelivered(NamedTuple):
    """Why a notice was not delivered, without secrets. ``permanent``: another try would end the same way."""

    reason: str
    permanent: bool = False
    retry_after_seconds: float | None = None


Send = Callable[[Notice], Undelivered | None]
"""Tells a notice, within the time of its channel; None when it was told."""


class Outbox(Protocol):
    """Where alerts are decided once, and notices wait until they are told. Every method may raise StoreUnavailable."""

    def undecided(self, token: str = "", *, everything: bool = True, limit: int = 500) -> Undecided | None:
        """What is to be decided now, with the alerts of all checks if ``everything``.

        With a token, it is that one's turn to decide until it is told that nothing is left (or stops asking for some
        seconds); None while it is another's. Without one it only looks.
        """
        ...

    def decide(
        self, seen: Undecided, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision: the alerts that changed (None for one to forget), and notices with their channels.

        All of it is written, or, when somebody else has decided since ``seen``, nothing: then False.
        """
        ...

    def due(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that have something to tell now, and that nobody is at."""
        ...

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """The next notice of a channel, under a lease; None when there is none now or another token holds the channel.

        Notices of one check are delivered in order; the lease is on the channel, and prolonged by the next ``take``.
        """
        ...

    def leave(self, channel: str, token: str) -> None:
        """Let go of a channel, for somebody else to go on."""
        ...

    def ack(self, delivery: Delivery) -> bool:
        """It was told. False when somebody else has said so before."""
        ...

    def retry(self, delivery: Delivery, *, after_seconds: float, hold_seconds: float, reason: str) -> None:
        """It was not told: try again later, and no other notice of this channel for ``hold_seconds``."""
        ...

    def bury(self, delivery: Delivery, reason: str) -> None:
        """It will never be told: a dead letter."""
        ...

    def retire(self, channels: Iterable[str], *, before: float) -> int:
        """Bury what has waited since ``before`` for channels other than these. Returns how many notices."""
        ...

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names this pattern fits."""
        ...

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. False when there is none of that id."""
        ...

    def overview(self) -> AlertsOverview:
        """All there is to know of alerting."""
        ...


class Ownership(Protocol):
    """The record of the project that a store belongs to. Every method may raise :class:`StoreUnavailable`."""

    def read(self) -> Identity | None:
        """Return whose store it is; None while it is nobody's."""
        ...

    def claim(self, project: Identity) -> Identity | None:
        """Make the store this project's if it is nobody's or the same; return whose it is then."""
        ...

    def take_over(self, project: Identity) -> Identity | None:
        """Make the store this project's, and return whose it was."""
        ...


class BrokerUnavailable(Exception):
    """The watched broker did not answer in time, or refused. Its text is free of credentials."""


@dataclass(frozen=True, slots=True)
class Executed:
    """The newest heartbeat to a worker or queue that was executed: when it was sent, when executed, and by whom.

    ``instance`` is the :attr:`Beacon.instance` of the worker; empty when its agent does not write it.
    """

    sent_at: float
    done_at: float
    node: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker's newest beacon, and when it was written."""

    beacon: Beacon
    at: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the workers have written into the store, by its clock, and what the last round noted there.

    ``server`` changes when the store's server is another one, or was started again; None when it does not tell.
    ``beacons`` is by :attr:`Beacon.target`: each start of a worker is an entry. ``executed`` is by
    `monitor.agent.protocol.target_field`.
    """

    now: float
    beacons: Mapping[str, Seen]
    executed: Mapping[str, Executed]
    notes: bytes = b""
    server: str | None = None
    up_seconds: float | None = None


class Fleet(Protocol):
    """What workers write into the store, and the notes of those who read it. May raise :class:`StoreUnavailable`."""

    def sight(self) -> Sighting:
        """Everything the workers have written. What cannot be understood is left out, and removed."""
        ...

    def set_aside(self, kind: str, number: int = 1) -> None:
        """Count values that the reader of what was sighted has set aside. Never raises."""
        ...

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Return by target which workers are connected to the store; None when the server does not tell."""
        ...

    def note(self, notes: bytes, *, emitted: Mapping[str, float], gone: Iterable[Beacon] = ()) -> None:
        """Keep the notes for the next round, say when heartbeats were sent (by target field), forget workers."""
        ...


class Store(Protocol):
    """A store: its parts, each for who needs it, and what concerns all of them."""

    @property
    def states(self) -> StateStore:
        """The states of the checks."""
        ...

    @property
    def history(self) -> History:
        """What was observed."""
        ...

    @property
    def alerts(self) -> Outbox:
        """Alerts, and the notices that wait to be delivered."""
        ...

    @property
    def workers(self) -> Fleet:
        """What the project's workers write."""
        ...

    @property
    def ownership(self) -> Ownership:
        """The record of the project that the store belongs to."""
        ...

    def set_aside(self) -> Mapping[str, int]:
        """Return how many values were set aside so far, by kind: stored by another program, or damaged.

        Removes what is beyond all limits. Raises :class:`StoreUnavailable`.
        """
        ...

    def refusal(self) -> str | None:
        """Return the reason why the store takes no writes, as far as a read shows it. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close the idle connections. The next call opens one again."""
        ...


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in a queue. ``head`` names the message that is taken next, when it was asked for and is known."""

    pending: int
    head: str | None = None
    consumers: int | None = None

    def without(self, number: int) -> Depth:
        """Return what is left when so many messages were removed."""
        left = max(0, self.pending - number)
        return Depth(left, self.head if left else None, self.consumers)


@dataclass(frozen=True, slots=True)
class BrokerSight:
    """What is known of the watched broker. ``nodes`` are the workers that it knows, as far as it does.

    ``content_types``: those in which heartbeats can be sent to it, the preferred one first.
    """

    queues: Mapping[str, Depth]
    nodes: frozenset[str] = frozenset()
    server: str | None = None
    content_types: tuple[str, ...] = ("application/json",)


class Broker(Protocol):
    """The watched broker. Every method may raise :class:`BrokerUnavailable`."""

    def look(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSight:
        """How many messages wait in ``queues``, and which is next in those that ``heads`` holds."""
        ...

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        """Send heartbeats: the queue, the arguments, the content type. The next is taken when the last was sent."""
        ...

    def remove(self, queues: Iterable[str]) -> None:
        """Remove workers' own queues."""
        ...

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        """Remove our heartbeats from queues of few messages; how many there were in each, where that is possible."""
        ...
