"""Values of checks: statuses, outcomes, results, states, transitions, snapshots and notices.

All values are frozen. Times are seconds since the Unix epoch by the store's clock (Redis ``TIME``). The name of a
duration contains its unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainValidator, Strict

from monitor.lib import decoding

# The store's decoders validate these types. The constructors of the classes below validate nothing.
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

    - ``OK``, ``WARNING``, ``ERROR``: the outcome of the check's last run.
    - ``UNKNOWN``: the check was never run, or its last run could not determine a status.
    - ``STALE``: the check's last result has expired.
    """

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    STALE = "stale"
    UNKNOWN = "unknown"

    @property
    def severity(self) -> int:
        """Return 0 for ok, 1 for warning, and 2 for error, stale and unknown."""
        return {"ok": 0, "warning": 1}.get(self.value, 2)


class Reason(StrEnum):
    """Reason codes that several modules use. A code that only one kind uses is defined in the module of that kind."""

    ABOVE_THRESHOLD = "above_threshold"
    STALE = "stale"
    NOT_OBSERVED = "not_observed"
    FROM_THE_FUTURE = "from_the_future"
    IMPORTING = "importing"


class Overall(StrEnum):
    """The overall status of all checks together."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one run of a kind, before it is dated and timed.

    - ``data`` is public. It contains numbers, and names of the counted things.
    - ``message`` and ``detail`` may contain hosts, versions and texts, which only authorised clients may read.
    - ``reason`` is a short code in snake_case (``timeout``, ``refused``, ``above_threshold``).
    - ``grace`` is True for an ``unknown`` outcome in a grace period, when it is too early for a judgement. Such an
      outcome fails no group and sends no notification.
    - ``held`` is True when the numbers are those of an earlier run. A held ``unknown`` outcome fails no group either.
    - ``children`` maps the names of child checks to their outcomes; None for a child check that no longer exists.
    - ``memory`` is passed unchanged to the kind's next run. None keeps the stored memory.
    - ``series`` are the names of the fields of ``data`` that history keeps. Values that are not numbers are skipped.
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
    """The time of a run, and the memory that the previous run of the same check left."""

    now: float
    memory: str | None = field(default=None, repr=False)


NO_PAST = Past(0.0)
"""An empty past, for runs that are not scheduled."""


@dataclass(frozen=True, slots=True)
class Result:
    """The dated result of one run of a check, valid until ``valid_until``.

    ``late_ms`` is the time from the due time to the start of the run; None for a run without a due time. History keeps
    the response time and the fields of ``data`` that ``series`` names. For ``grace`` and ``held`` see `Outcome`.
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
        """Return the time at which the numbers were measured: ``observed_at`` minus the age that ``data`` contains."""
        ages = (self.data.get(name) for name in AGE_FIELDS)
        numbers = (float(age) for age in ages if isinstance(age, int | float) and not isinstance(age, bool))
        return self.observed_at - max(0.0, next(numbers, 0.0))


AGE_FIELDS = ("numbers_age_seconds", "held_seconds")
"""Fields of ``data`` with the age of the numbers in seconds, at the time of the run. The first that exists is used."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive results that are all worse, or all better, than the state, while a threshold delays the change.

    ``status`` is the status that the state gets when the threshold is reached. While the check gets worse, it is the
    mildest status of the streak's results. While the check gets better, it is the worst one.
    """

    status: Status
    count: Count
    since: Moment


@dataclass(frozen=True, slots=True)
class State:
    """The judged status of a check after hysteresis, with its last result.

    - ``since`` is the time of the last change of ``status``.
    - ``retry_at`` is the time of an additional run after a worse result (``retry_interval``); None when none is due.
    - ``stale_since`` is the time at which a sweep found that the last result had expired. ``status`` does not change
      then.
    - ``sequence`` and ``transition_run_id`` are the sequence and the run id of the last transition. States of earlier
      versions have no ``transition_run_id``: it is empty.
    """

    check: CheckName
    status: Status
    since: Moment
    sequence: Count
    result: Result
    streak: Streak | None = None
    retry_at: Moment | None = None
    stale_since: Moment | None = None
    transition_run_id: Text = ""

    @property
    def is_judged(self) -> bool:
        """Return False while the status is ``unknown`` and the last result is in a grace period."""
        return not (self.status is Status.UNKNOWN and self.result.grace)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a state's status. It is stored once; events and alerts are made from it.

    ``sequence`` grows with each transition of a check, unless the store loses data. ``run_id`` is the id of the run or
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
        """Return the transition's idempotency key; see :func:`transition_id`."""
        return transition_id(self.check, self.sequence, self.run_id)


def transition_id(check: str, sequence: int, run_id: str) -> str:
    """Return ``CHECK:SEQUENCE:RUN``, where RUN is the first eight characters of ``run_id``.

    A run that is applied twice makes the same id twice. Different incidents have different ids even if the store has
    lost data: after a fail-over, a restored dump or a step of the clock a sequence may repeat, but no run id repeats.
    For an empty ``run_id``, return ``CHECK:SEQUENCE``, the format of earlier versions.
    """
    return f"{check}:{sequence}:{run_id[:8]}" if run_id else f"{check}:{sequence}"


@dataclass(frozen=True, slots=True)
class Flight:
    """The right of one process to run a check once. It ends with its lease.

    Every flight has a higher ``token`` than all earlier ones. ``memory`` is the memory that the check's last run left.
    """

    check: str
    run_id: str
    token: int
    taken_at: float
    memory: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Window:
    """The input of one dispatch: it sends the checks that became due after ``since``, up to and including ``until``.

    - ``since`` is None for the first dispatch of a store.
    - ``retries`` are the checks whose retry is due.
    - ``observed`` are the names of the checks that have a state. It is None if ``since`` is set and the roster has not
      changed since the last dispatch.
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
    """The states that were written after the cursor of a reader.

    ``cursor`` is the cursor for the next read. If ``full`` is True, ``states`` contains all states, and the reader
    drops the states that it has: on its first read, and after the store was flushed or failed over. ``read_at`` is the
    store's time.
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
    """The kind of a notice."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification for one alert channel.

    - ``id`` is the idempotency key of the notice: the id of the transition that caused it. The id of a reminder or of a
      deferred notice has a suffix, because an earlier notice may have the id of the same transition.
    - ``at`` is the time at which the notice was decided.
    - ``message`` contains no credentials, but may contain hosts.
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
