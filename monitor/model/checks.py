"""Values of checks: statuses, outcomes, results, states, transitions, snapshots and notices.

All are frozen; only a store writes them. Times are seconds since the Unix epoch by the store's clock (Redis ``TIME``).
Durations have their unit in their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainValidator, Strict

from monitor.lib import decoding

# The types that the decoders of the store validate. Constructors validate nothing.
Text = Annotated[str, Field(max_length=decoding.TEXT_BYTES)]
CheckName = Annotated[str, Field(pattern=rf"^{decoding.CHECK_NAME}$")]
Moment = Annotated[float, Strict(), Field(ge=0, le=decoding.LATEST_MOMENT)]
Amount = Annotated[float, Strict(), Field(gt=-decoding.INTEGER_LIMIT, lt=decoding.INTEGER_LIMIT)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, lt=decoding.INTEGER_LIMIT)]
Document = Annotated[Mapping[str, Any], PlainValidator(decoding.mapping)]
Label = Annotated[str, PlainValidator(decoding.object_name)]


class Status(StrEnum):
    """The status of a check.

    A result is ok, warning or error, or ``UNKNOWN`` when its kind ran but could not decide. ``UNKNOWN`` is also the
    status of a check that was never observed. ``STALE`` is the status of a check whose last result has expired.
    """

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    STALE = "stale"
    UNKNOWN = "unknown"

    @property
    def severity(self) -> int:
        """Return 0 for ok, 1 for warning, and 2 for every status that fails a critical check."""
        return {"ok": 0, "warning": 1}.get(self.value, 2)


class Reason(StrEnum):
    """Reason codes that several modules set or compare. Codes of a single kind are listed in that kind."""

    ABOVE_THRESHOLD = "above_threshold"
    STALE = "stale"
    NOT_OBSERVED = "not_observed"
    FROM_THE_FUTURE = "from_the_future"


class Overall(StrEnum):
    """The overall status of all checks together."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one run of a kind, before it is dated and timed.

    - ``data`` is public: it holds only numbers, and names of counted things.
    - ``message`` and ``detail`` may contain hosts, versions and texts; only authorised clients see them.
    - ``reason`` is a short code in snake_case (``timeout``, ``refused``, ``above_threshold``).
    - ``grace`` marks an ``unknown`` outcome that is too early to judge. It fails nothing and sends no notification.
    - ``held`` marks numbers that are kept from an earlier run. A held ``unknown`` outcome fails nothing, either.
    - ``children`` are the outcomes of child checks by name; None for a child check that no longer exists.
    - ``memory`` is passed unchanged to the kind's next run; None keeps the stored memory.
    - ``series`` names the fields of ``data`` that history keeps, if they are numbers.
    """

    status: Status
    data: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    message: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    grace: bool = False
    held: bool = False
    children: Mapping[str, Outcome | None] = field(default_factory=dict)
    memory: str | None = field(default=None, repr=False)
    series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """The time by which a run is dated, and the memory that the kind's previous run left."""

    now: float
    memory: str | None = field(default=None, repr=False)


NO_PAST = Past(0.0)
"""An empty past, for runs that are not scheduled."""


@dataclass(frozen=True, slots=True)
class Result:
    """The dated result of one run of a check, valid until ``valid_until``.

    ``late_ms`` is the time from the due time to the start of the run; None when no due time is known. ``series`` names
    the fields of ``data`` that history keeps, besides the response time. ``grace`` and ``held`` are as in `Outcome`.
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
        """Return the time at which the numbers were measured: before the observation if they are held or recorded."""
        ages = (self.data.get(name) for name in AGES)
        known = (float(age) for age in ages if isinstance(age, int | float) and not isinstance(age, bool))
        return self.observed_at - max(0.0, next(known, 0.0))


AGES = ("numbers_age_seconds", "held_seconds")
"""The fields of ``data`` that hold the age of the numbers, in seconds, at the time of the run."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive results that disagree with the state in one direction, while a threshold delays the change.

    ``status`` is what the state would become: the status nearest to the current one that every result of the streak
    justifies (the mildest when the check gets worse, the worst when it gets better).
    """

    status: Status
    count: Count
    since: Moment


@dataclass(frozen=True, slots=True)
class State:
    """The judged status of a check after hysteresis, with its last result.

    ``stale_since`` is the time at which a sweep found that the last result had expired; ``status`` keeps the last
    judged status. ``sequence`` and ``turned_by`` are the sequence and the run id of the last transition. ``turned_by``
    is empty in states of earlier versions.
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
        """Return False while all that is known is an ``unknown`` result in its grace period."""
        return not (self.status is Status.UNKNOWN and self.result.grace)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a state's status. It is stored once; events and alerts are made from it.

    ``sequence`` orders the transitions of a check as long as the store keeps its data. ``run_id`` is the id of the run
    or sweep that made the transition.
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
        """Return the transition's idempotency key; see :func:`transition_id`."""
        return transition_id(self.check, self.sequence, self.run_id)


def transition_id(check: str, sequence: int, run_id: str) -> str:
    """Return ``CHECK:SEQUENCE:RUN``, where RUN is the first eight characters of the run's or sweep's id.

    A run that is applied again has the same id. Two incidents have different ids even when the store has lost data: a
    sequence may repeat after a fail-over, a restored dump or a step of the clock, the id of a run does not.
    Return ``CHECK:SEQUENCE`` for an empty ``run_id``, as earlier versions wrote it.
    """
    return f"{check}:{sequence}:{run_id[:8]}" if run_id else f"{check}:{sequence}"


@dataclass(frozen=True, slots=True)
class Flight:
    """The right to run a check once, held under a lease.

    ``token`` is higher for every later flight. ``memory`` is the memory that the check's last run left.
    """

    check: str
    run_id: str
    token: int
    taken_at: float
    memory: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Window:
    """The time that one dispatch covers: checks due in ``(since, until]``, and checks whose retry is due.

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
    """The states written since a reader's cursor was made.

    ``cursor`` is the cursor for the next read. With ``full``, ``states`` are all states and replace what the reader
    has: on the first read, and after the store was flushed or failed over. ``read_at`` is the store's time.
    """

    states: Mapping[str, State]
    cursor: str
    full: bool
    read_at: float


class WorkerVerdict(StrEnum):
    """The verdict of a worker. A worker has exactly one at any time."""

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
    """The verdict of a queue that is expected to be consumed."""

    CONSUMED = "consumed"
    RESTING = "resting"
    SLOW = "slow"
    UNCONSUMED = "unconsumed"


class NoticeKind(StrEnum):
    """The occasion of a notification."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification for one alert channel.

    ``id`` is the idempotency key: the id of the transition that caused the notice. A notice without a transition of its
    own (a reminder, a deferred alert) has that id with a suffix. ``message`` contains no credentials, but may contain
    hosts.
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
