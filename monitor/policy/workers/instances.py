"""Instances of a worker: each start of a Celery worker is one instance. All starts with the same node name are a node.

Usually a node has one instance. During a restart it has two for a moment. If two instances are up at the same time for
longer, they are two workers that have the same name by mistake, such as containers with a fixed ``-n``. The check of
the node then has the worst outcome of its instances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from monitor.config.settings import WorkerSettings
from monitor.model.checks import Outcome, Status, WorkerVerdict
from monitor.policy.workers.verdicts import WorkerObservation, WorkerReason, has_fresh_beacon, is_expired

SIDE_BY_SIDE_INTERVALS = 6.0
"""For this time, the old and the new worker of a deployment may both be up without being duplicates."""

QUIET_INTERVALS = 0.75
"""If an instance has written no beacon for this time and a newer instance has started, the instance was replaced.

An agent writes a beacon every half interval.
"""

LISTED_INSTANCES = 20
"""Most instances that the detail of a node lists."""

NAMED_INSTANCES = 3
"""Most instances that the message of a node names."""

WORST_FIRST = (
    WorkerVerdict.LOST,
    WorkerVerdict.FROZEN,
    WorkerVerdict.WEDGED,
    WorkerVerdict.STUCK,
    WorkerVerdict.SILENT,
    WorkerVerdict.BUSY,
    WorkerVerdict.CONSUMING,
    WorkerVerdict.STARTING,
    WorkerVerdict.RETIRED,
)
"""All verdicts of workers, the worst first."""


@dataclass(frozen=True, slots=True)
class WorkerInstance:
    """One start of a worker, with its verdict and its outcome.

    ``suspended``: the verdict is not used, and the check keeps its last result.
    """

    worker: WorkerObservation
    verdict: WorkerVerdict
    outcome: Outcome
    suspended: bool = False

    @property
    def target(self) -> str:
        """Name of the instance as a target of heartbeats."""
        return self.worker.beacon.target


def instances_to_forget(instances: Collection[WorkerInstance], settings: WorkerSettings) -> list[WorkerInstance]:
    """Return the instances that have expired, and the instances that a newer instance has replaced."""
    several = len(instances) > 1
    return [
        each
        for each in instances
        if is_expired(each.worker, settings) or (several and _was_replaced(each, instances, settings))
    ]


def deciding_instances(instances: Sequence[WorkerInstance], settings: WorkerSettings) -> tuple[WorkerInstance, ...]:
    """Return the instances of a node that decide the outcome of its check, the worst first.

    An instance that was replaced a moment ago does not decide, and neither does one with the verdict ``retired``. If
    all instances of the node are such, the one with the newest beacon decides.
    """
    if len(instances) < 2:
        return tuple(instances)
    present = [each for each in instances if not _was_just_replaced(each, instances, settings)] or instances
    not_retired = [each for each in present if each.verdict is not WorkerVerdict.RETIRED]
    return tuple(sorted(not_retired, key=_rank)) or (max(present, key=lambda each: each.worker.beacon_at),)


def duplicate_instances(instances: Sequence[WorkerInstance], settings: WorkerSettings) -> tuple[WorkerInstance, ...]:
    """Return the instances that have been up at the same time under one name for too long. Usually there are none."""
    if len(instances) < 2:
        return ()
    live = [each for each in instances if has_fresh_beacon(each.worker, settings) and not each.worker.beacon.leaving]
    return tuple(
        each
        for each in live
        if any(other is not each and _overlap_seconds(each, other) >= _side_by_side_seconds(settings) for other in live)
    )


def node_outcome(deciding: Sequence[WorkerInstance], duplicates: Sequence[WorkerInstance]) -> Outcome:
    """Return the outcome of the check of a node, from its deciding instances (the worst first) and its duplicates."""
    worst = deciding[0].outcome
    if len(deciding) == 1:
        return worst
    listed = [entry for each in deciding[:LISTED_INSTANCES] for entry in each.outcome.detail["instances"]]
    detail = {**worst.detail, "instances": listed}
    outcome = dataclasses.replace(worst, detail=detail)
    if not duplicates:
        return outcome
    names = f"{len(duplicates)} workers run under this name: {_named(duplicates)}"
    message = f"{worst.message} ({_place(deciding[0])}); {names}" if worst.message else names
    if worst.status.severity > Status.WARNING.severity:
        return dataclasses.replace(outcome, message=message)
    return dataclasses.replace(outcome, status=Status.WARNING, reason=WorkerReason.DUPLICATE, message=message)


def _named(instances: Sequence[WorkerInstance]) -> str:
    more = f" and {len(instances) - NAMED_INSTANCES} more" if len(instances) > NAMED_INSTANCES else ""
    return f"{', '.join(_place(each) for each in instances[:NAMED_INSTANCES])}{more}"


def _place(each: WorkerInstance) -> str:
    return f"host {each.worker.beacon.host} pid {each.worker.beacon.pid}"


def _was_replaced(old: WorkerInstance, instances: Collection[WorkerInstance], settings: WorkerSettings) -> bool:
    """Return whether an instance ended without a goodbye, and a newer one started after its end or not long before it.

    The beacon of the old instance is overdue, so it has certainly ended. An instance that is still connected to the
    store has not ended: its verdict is ``frozen``, and it holds its tasks.
    """
    ended = old.verdict in (WorkerVerdict.LOST, WorkerVerdict.SILENT, WorkerVerdict.RETIRED)
    if old.worker.beacon.leaving or not ended or has_fresh_beacon(old.worker, settings):
        return False
    return any(
        _is_later(new, old) and _overlap_seconds(old, new) < _side_by_side_seconds(settings) for new in instances
    )


def _was_just_replaced(old: WorkerInstance, instances: Collection[WorkerInstance], settings: WorkerSettings) -> bool:
    """Return whether an instance was replaced a moment ago: its beacons stopped, then a newer instance started.

    The beacon of the old instance is not overdue yet. Its last verdict, such as `stuck`, no longer describes the node.
    """
    worker = old.worker
    is_quiet = worker.beacon_age_seconds > QUIET_INTERVALS * settings.interval_seconds
    return (
        is_quiet
        and has_fresh_beacon(worker, settings)
        and any(_is_later(new, old) and _overlap_seconds(old, new) <= 0.0 for new in instances)
    )


def _is_later(new: WorkerInstance, old: WorkerInstance) -> bool:
    return new.worker.started_at > old.worker.started_at


def _overlap_seconds(instance: WorkerInstance, other: WorkerInstance) -> float:
    """Return the time for which both instances were up. It is negative when one ended before the other started."""
    first_end = min(instance.worker.beacon_at, other.worker.beacon_at)
    return first_end - max(instance.worker.started_at, other.worker.started_at)


def _side_by_side_seconds(settings: WorkerSettings) -> float:
    return SIDE_BY_SIDE_INTERVALS * settings.interval_seconds


def _rank(each: WorkerInstance) -> tuple[int, int]:
    return -each.outcome.status.severity, WORST_FIRST.index(each.verdict)
