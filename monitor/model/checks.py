"""The values everything else speaks in: statuses, results, states, transitions, snapshots.

All are frozen and derived; only a store writes. Times are seconds since the Unix epoch by one
clock, the store's (Redis ``TIME``); durations say their unit in their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainValidator, Strict

from monitor.lib import decoding

# What the decoders of the store hold a value to; nothing is validated where a value is made.
Text = Annotated[str, Field(max_length=decoding.TEXT_BYTES)]
CheckName = Annotated[str, Field(pattern=rf"^{decoding.CHECK_NAME}$")]
Moment = Annotated[float, Strict(), Field(ge=0, le=decoding.LATEST)]
Amount = Annotated[float, Strict(), Field(gt=-decoding.INTEGER_LIMIT, lt=decoding.INTEGER_LIMIT)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, lt=decoding.INTEGER_LIMIT)]
Document = Annotated[Mapping[str, Any], PlainValidator(decoding.mapping)]
Label = Annotated[str, PlainValidator(decoding.label)]


class Status(StrEnum):
    """What is known of a check.

    A result is ok, warning or error, or ``UNKNOWN`` where its kind looked and cannot say. ``UNKNOWN`` is also what
    was never observed, and ``STALE`` what becomes of a result that is not followed by another.
    """

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    STALE = "stale"
    UNKNOWN = "unknown"

    @property
    def severity(self) -> int:
        """0 for ok, 1 for warning, 2 for everything that fails a critical check."""
        return {"ok": 0, "warning": 1}.get(self.value, 2)


class Reason(StrEnum):
    """Reason codes that more than one module gives or compares. The codes of one kind are listed in that kind."""

    ABOVE_THRESHOLD = "above_threshold"
    STALE = "stale"
    NOT_OBSERVED = "not_observed"
    FROM_THE_FUTURE = "from_the_future"


class Overall(StrEnum):
    """The verdict over all checks."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a kind came to, before anybody knows when it was or how long it took.

    ``data`` is public: numbers (and names of what was counted) only. ``message`` and ``detail`` may
    hold hosts, versions and texts; they are shown to authorised readers alone.
    ``reason`` is a short code in snake_case (``timeout``, ``refused``, ``above_threshold``).
    ``grace`` says of an ``unknown`` that it is too early to say more: it fails nothing, and nobody is told.
    ``held`` says that the numbers are kept from an earlier run. An ``unknown`` that is held fails nothing, either.
    ``parts`` are things that were observed together, by name, each to be a check of its own; None for one that is no
    more. ``memory`` is handed to the kind's next run as it is; None leaves there what was.
    ``series`` names those fields of ``data`` that are worth a chart over time, where they are numbers.
    """

    status: Status
    data: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    message: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    grace: bool = False
    held: bool = False
    parts: Mapping[str, Outcome | None] = field(default_factory=dict)
    memory: str | None = field(default=None, repr=False)
    series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What a run may know of those before it: the moment it is dated by, and the memory that the last one left."""

    now: float
    memory: str | None = field(default=None, repr=False)


NO_PAST = Past(0.0)
"""That of a run outside of any schedule."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a check found, and until when it may be believed.

    ``late_ms`` is how long after it was due the run began; None where nobody said when. ``series`` are the fields of
    ``data`` that history keeps, besides the response time. ``held`` as in `Outcome`.
    """

    run_id: Text
    status: Status
    observed_at: Moment
    valid_until: Moment
    response_time_ms: Amount
    data: Document = field(default_factory=dict)
    reason: Text | None = None
    message: Text | None = None
    detail: Document = field(default_factory=dict)
    late_ms: Amount | None = None
    grace: Flag = False
    series: tuple[Text, ...] = ()
    held: Flag = False

    @property
    def numbers_at(self) -> float:
        """The time that the numbers are of: before it was observed, where they are kept, or come from a recording."""
        ages = (self.data.get(name) for name in AGES)
        known = (float(age) for age in ages if isinstance(age, int | float) and not isinstance(age, bool))
        return self.observed_at - max(0.0, next(known, 0.0))


AGES = ("numbers_age_seconds", "held_seconds")
"""The fields of ``data`` in which a kind reports how old its numbers were when it ran."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive results that disagree with the state in one direction, while hysteresis waits.

    ``status`` is what the state would become: the status nearest to the present one that every result
    of the streak bears out (the mildest when it gets worse, the worst when it gets better).
    """

    status: Status
    count: Count
    since: Moment


@dataclass(frozen=True, slots=True)
class State:
    """A check's judged status after hysteresis.

    ``stale_since`` is when it was noted that no new result has come; ``status`` stays what was known last. ``sequence``
    and ``turned_by`` are those of its last transition; ``turned_by`` is empty in states of earlier versions.
    """

    check: CheckName
    status: Status
    since: Moment
    sequence: Count
    result: Result
    streak: Streak | None = None
    retry_at: Moment | None = None
    stale_since: Moment | None = None
    turned_by: Text = ""

    @property
    def is_judged(self) -> bool:
        """Whether there has been a result that says more than that it is too early to say anything."""
        return not (self.status is Status.UNKNOWN and self.result.grace)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a state's status. Stored once; events and alerts are made of it.

    ``sequence`` orders the transitions of a check within one life of the store. ``run_id`` is the id of the run or
    sweep that made the transition.
    """

    check: CheckName
    sequence: Count
    old: Status
    new: Status
    at: Moment
    run_id: Text
    reason: Text | None = None

    @property
    def id(self) -> str:
        """Return the idempotency key of whatever is done about it: see :func:`transition_id`."""
        return transition_id(self.check, self.sequence, self.run_id)


def transition_id(check: str, sequence: int, run_id: str) -> str:
    """Return ``CHECK:SEQUENCE:RUN``, where RUN is the first eight characters of the run's or sweep's id.

    A run that is applied again has the same id. Two incidents have different ones, whatever the store has lost: a
    sequence may come back after a fail-over, a restored dump or a step of the clock, the id of a run does not.
    ``CHECK:SEQUENCE`` for an empty ``run_id``, as earlier versions wrote it.
    """
    return f"{check}:{sequence}:{run_id[:8]}" if run_id else f"{check}:{sequence}"


@dataclass(frozen=True, slots=True)
class Flight:
    """The right to run a check once, held under a lease. ``token`` grows with every flight taken.

    ``memory`` is what the check's last run left for it.
    """

    check: str
    run_id: str
    token: int
    taken_at: float
    memory: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Window:
    """The time that one dispatch covers: checks due in ``(since, until]``, and the checks whose retry is due now.

    ``since`` is None for the first dispatch of a store. ``observed`` holds the names of the checks that have a state;
    it is None unless the roster's fingerprint is new.
    """

    since: float | None
    until: float
    retries: tuple[str, ...] = ()
    observed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All states at one moment of the store's clock."""

    states: Mapping[str, State]
    read_at: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reader has to learn to be up to date: the states written since its ``cursor`` was made.

    ``full`` tells that ``states`` is everything there is, replacing what the reader knew (first read,
    or the store was flushed or failed over). ``read_at`` is the store's clock.
    """

    states: Mapping[str, State]
    cursor: str
    full: bool
    read_at: float


class WorkerVerdict(StrEnum):
    """What is known of a worker (DESIGN section 6). Exactly one of them at any time."""

    RETIRED = "retired"
    LOST = "lost"
    FROZEN = "frozen"
    SILENT = "silent"
    STARTING = "starting"
    CONSUMING = "consuming"
    BUSY = "busy"
    STUCK = "stuck"
    WEDGED = "wedged"


class QueueVerdict(StrEnum):
    """What is known of an expected queue."""

    CONSUMED = "consumed"
    RESTING = "resting"
    SLOW = "slow"
    UNCONSUMED = "unconsumed"


class NoticeKind(StrEnum):
    """Why somebody is told something."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell through one alert channel.

    ``id`` is the idempotency key: the id of the transition that caused it, and for what no transition caused
    (a reminder, a deferred alert) that id and a suffix. ``message`` is scrubbed of credentials and may hold hosts.
    """

    id: str
    kind: NoticeKind
    check: CheckName
    old: Status
    status: Status
    since: Moment
    at: Moment
    reason: str | None = None
    message: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    data: Document = field(default_factory=dict)
