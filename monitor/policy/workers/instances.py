"""Instances of a worker: the starts of a Celery worker under one node name.

Usually there is one, and during a restart two for a moment. Instances that are up side by side for longer are separate
workers with the same name by mistake, such as containers with a fixed ``-n``. Then the check of the node has the worst
of their outcomes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from monitor.config.settings import WorkerSettings
from monitor.model.checks import Outcome, Status, WorkerVerdict
from monitor.policy.workers.verdicts import WorkerObservation, WorkerReason, has_fresh_beacon, is_expired

SIDE_BY_SIDE_INTERVALS = 6.0
"""Time for which the old and the new worker of a deployment may both be up."""

QUIET_INTERVALS = 0.75
"""An instance that has not written a beacon for this long, while a newer instance started, was restarted.

Beacons are written twice in an interval.
"""

LISTED = 20
"""Instances in the detail of a node."""

NAMED = 3
"""Instances in the message of a node."""

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


@dataclass(frozen=True, slots=True)
class WorkerInstance:
    """One start of a worker: the facts about it, its verdict and outcome, and whether these are suspended."""

    worker: WorkerObservation
    verdict: WorkerVerdict
    outcome: Outcome
    suspended: bool = False

    @property
    def target(self) -> str:
        """Name of the instance as a target of heartbeats."""
        return self.worker.beacon.target


def expired_instances(instances: Collection[WorkerInstance], settings: WorkerSettings) -> list[WorkerInstance]:
    """Return the instances to forget: expired ones, and ones that a newer instance has replaced."""
    several = len(instances) > 1
    return [
        each
        for each in instances
        if is_expired(each.worker, settings) or (several and _is_replaced(each, instances, settings))
    ]


def counted_instances(instances: Sequence[WorkerInstance], settings: WorkerSettings) -> tuple[WorkerInstance, ...]:
    """Return the instances that determine the check of their node, the worst first.

    An instance that left with a goodbye, or that was restarted a moment ago, counts only when there is no other.
    """
    if len(instances) < 2:
        return tuple(instances)
    present = [each for each in instances if not _was_just_restarted(each, instances, settings)] or instances
    serving = [each for each in present if each.verdict is not WorkerVerdict.RETIRED]
    return tuple(sorted(serving, key=_rank)) or (max(present, key=lambda each: each.worker.beacon_at),)


def duplicate_instances(instances: Sequence[WorkerInstance], settings: WorkerSettings) -> tuple[WorkerInstance, ...]:
    """Return the instances that have been up side by side under one name for too long; usually none."""
    if len(instances) < 2:
        return ()
    live = [each for each in instances if has_fresh_beacon(each.worker, settings) and not each.worker.beacon.leaving]
    return tuple(
        each
        for each in live
        if any(other is not each and _overlap_seconds(each, other) >= _limit(settings) for other in live)
    )


def node_outcome(counted: Sequence[WorkerInstance], duplicates: Sequence[WorkerInstance]) -> Outcome:
    """Return the outcome of a node from its counted instances, the worst first, and its duplicate instances."""
    worst = counted[0].outcome
    if len(counted) == 1:
        return worst
    listed = [entry for each in counted[:LISTED] for entry in each.outcome.detail["instances"]]
    detail = {**worst.detail, "instances": listed}
    made = dataclasses.replace(worst, detail=detail)
    if not duplicates:
        return made
    names = f"{len(duplicates)} workers run under this name: {_named(duplicates)}"
    message = f"{worst.message} ({_place(counted[0])}); {names}" if worst.message else names
    if worst.status.severity > Status.WARNING.severity:
        return dataclasses.replace(made, message=message)
    return dataclasses.replace(made, status=Status.WARNING, reason=WorkerReason.DUPLICATE, message=message)


def _named(instances: Sequence[WorkerInstance]) -> str:
    more = f" and {len(instances) - NAMED} more" if len(instances) > NAMED else ""
    return f"{', '.join(_place(each) for each in instances[:NAMED])}{more}"


def _place(each: WorkerInstance) -> str:
    return f"host {each.worker.beacon.host} pid {each.worker.beacon.pid}"


def _is_replaced(old: WorkerInstance, instances: Collection[WorkerInstance], settings: WorkerSettings) -> bool:
    """Return whether an instance ended without a goodbye, and a newer one started at about that time or later.

    An instance that is still connected is frozen and holds its tasks. It is not replaced.
    """
    ended = old.verdict in (WorkerVerdict.LOST, WorkerVerdict.SILENT, WorkerVerdict.RETIRED)
    if old.worker.beacon.leaving or not ended or has_fresh_beacon(old.worker, settings):
        return False
    return any(_is_later(new, old) and _overlap_seconds(old, new) < _limit(settings) for new in instances)


def _was_just_restarted(old: WorkerInstance, instances: Collection[WorkerInstance], settings: WorkerSettings) -> bool:
    """Return whether an instance was restarted a moment ago: its beacons stopped before a newer instance started.

    Its last verdict, such as `stuck`, is no longer the verdict of the node.
    """
    worker = old.worker
    quiet = worker.unseen_seconds > QUIET_INTERVALS * settings.interval_seconds and has_fresh_beacon(worker, settings)
    return quiet and any(_is_later(new, old) and _overlap_seconds(old, new) <= 0.0 for new in instances)


def _is_later(new: WorkerInstance, old: WorkerInstance) -> bool:
    return new.worker.started_at > old.worker.started_at


def _overlap_seconds(one: WorkerInstance, other: WorkerInstance) -> float:
    """Return the time in which both instances were up; negative when one ended before the other started."""
    ends = min(one.worker.beacon_at, other.worker.beacon_at)
    return ends - max(one.worker.started_at, other.worker.started_at)


def _limit(settings: WorkerSettings) -> float:
    return SIDE_BY_SIDE_INTERVALS * settings.interval_seconds


def _rank(each: WorkerInstance) -> tuple[int, int]:
    return -each.outcome.status.severity, WORST_FIRST.index(each.verdict)
