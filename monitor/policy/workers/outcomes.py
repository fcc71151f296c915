"""Outcomes of workers, queues, hosts and their summary: public ``data``, a message, and ``detail`` that is not public.

===================== =========================================================================================
state                 keys of ``data``
===================== =========================================================================================
``worker:NODE``       name, verdict, queues, latency_ms, slots, slots_stuck, active, oldest_task_seconds, reserved,
                      loop_lag_seconds, pool, up_seconds, done, rss_mb, withheld (whether judged without heartbeats),
                      outdated (the side with the older version: ``agent`` or ``monitor``; None if there is none)
``queue:QUEUE``       name, verdict, latency_ms, pending_tasks, workers (number of its workers with the verdict
                      ``consuming`` or ``busy``), withheld
``host:HOST``         cpu, memory, disk, connections: each has the numbers of the beacon, ``status`` and ``reason``
                      (only when the status is not ok)
``workers``           workers and queues (by verdict, their number), slots_stuck (number of workers with stuck slots),
                      outdated (number of workers whose version differs from the monitor's), suspended
===================== =========================================================================================

===================== =========================================================================================
state                 keys of ``detail``
===================== =========================================================================================
``worker:NODE``       host, pid, versions, tasks (name and age of the ten oldest tasks) of the worst instance;
                      instances (instance, host, pid, verdict, up_seconds of each deciding instance, the worst first)
``queue:QUEUE``       nodes (by node, its verdict)
``host:HOST``         host, nodes
``workers``           by each reason that is not ok, the names of the workers and queues with this reason; if all are
                      ok: by ``outdated``, the names of the workers whose version differs
===================== =========================================================================================

``reason`` of a worker is its verdict, ``slots_stuck``, ``duplicate``, ``forgotten`` or ``outdated`` (see
docs/decisions/0033). While a verdict is suspended,
the state keeps its last result, with ``suspended: true`` in ``data``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.config.settings import WorkerSettings
from monitor.model.checks import Outcome, QueueVerdict, Reason, Status, WorkerVerdict
from monitor.policy.workers.instances import WORST_FIRST
from monitor.policy.workers.verdicts import QueueObservation, WorkerObservation, WorkerReason, is_forgotten, slots_stuck
from monitor.policy.workers.versions import Side, older_side, outdated_message
from monitor.ports.workers import ExecutedHeartbeat

FORGOTTEN = Outcome(Status.OK, {"verdict": WorkerVerdict.RETIRED}, WorkerReason.FORGOTTEN, "no longer observed")
"""Last outcome of a worker, queue or host that no longer exists. It resolves the alert of the check."""

QUEUE_SERIES = ("latency_ms", "pending_tasks", "workers")
SUMMARY_SERIES = ("slots_stuck",)

WITHOUT_HEARTBEATS = "judged without heartbeats: the broker does not permit the worker a queue of its own"
UNKNOWN_POOL = "judged without heartbeats: the pool is not one of Celery's own and has never executed a heartbeat"

HOST_METRIC_LIMITS: Mapping[str, float] = {"cpu": 90.0, "memory": 85.0, "disk": 80.0}
"""Percentages above which a host has a warning."""

NAMES_LISTED = 20
"""Most names in a list of ``detail``."""

_OK_VERDICTS = {WorkerVerdict.RETIRED, WorkerVerdict.STARTING, WorkerVerdict.CONSUMING, WorkerVerdict.BUSY}
_OUTDATED_TEXTS = {Side.AGENT: "agents older than the monitor", Side.MONITOR: "agents newer than the monitor"}
_QUEUE_STATUS = {
    QueueVerdict.CONSUMED: Status.OK,
    QueueVerdict.RESTING: Status.OK,
    QueueVerdict.SLOW: Status.WARNING,
    QueueVerdict.UNCONSUMED: Status.ERROR,
}


def worker_outcome(
    observation: WorkerObservation, verdict: WorkerVerdict, settings: WorkerSettings, version: str = ""
) -> Outcome:
    """Return the outcome of a worker. ``version`` is the version of the monitor; empty if it is not compared."""
    beacon = observation.beacon
    outdated = None if verdict is WorkerVerdict.RETIRED else older_side(beacon, version)
    stuck = slots_stuck(beacon, settings)
    data = {
        "name": beacon.node,
        "verdict": verdict.value,
        "queues": list(beacon.queues),
        "latency_ms": _latency_ms(observation.executed) if observation.has_executed else None,
        "slots": beacon.slots,
        "slots_stuck": stuck,
        "active": beacon.active_count,
        "oldest_task_seconds": round(beacon.active[0].age_seconds, 1) if beacon.active else None,
        "reserved": beacon.reserved,
        "loop_lag_seconds": beacon.loop_lag_seconds,
        "pool": beacon.pool,
        "up_seconds": round(beacon.up_seconds, 1),
        "done": beacon.done,
        "rss_mb": beacon.rss_mb,
        "withheld": not observation.is_judged_by_heartbeats,
        "outdated": outdated,
    }
    place = {"host": beacon.host, "pid": beacon.pid}
    up_seconds = round(beacon.up_seconds, 1)
    instance = {"instance": beacon.instance, **place, "verdict": verdict.value, "up_seconds": up_seconds}
    detail = {
        **place,
        "instances": [instance],
        "versions": dict(beacon.versions),
        "tasks": [[task.task, round(task.age_seconds, 1)] for task in beacon.active[:10]],
    }
    status, reason = (Status.OK if verdict in _OK_VERDICTS else Status.ERROR), verdict.value
    if (verdict is WorkerVerdict.CONSUMING and stuck) or (verdict is WorkerVerdict.BUSY and beacon.stalled):
        status, reason = Status.WARNING, WorkerReason.SLOTS_STUCK
    if verdict is WorkerVerdict.RETIRED and not beacon.leaving and is_forgotten(observation, settings):
        reason = WorkerReason.FORGOTTEN
    message = _worker_message(observation, verdict, reason, stuck)
    if outdated and status is Status.OK:
        reason = WorkerReason.OUTDATED
        message = "; ".join(filter(None, (outdated_message(beacon, outdated, version), message)))
    return Outcome(status, data, reason, message, detail)


def queue_outcome(observation: QueueObservation, verdict: QueueVerdict, nodes: Mapping[str, WorkerVerdict]) -> Outcome:
    """Return the outcome of a queue. ``nodes`` holds the verdicts of the workers that declare it, by node name."""
    serving = sum(worker in (WorkerVerdict.CONSUMING, WorkerVerdict.BUSY) for worker in observation.workers)
    data = {
        "name": observation.name,
        "verdict": verdict.value,
        "latency_ms": None
        if observation.withheld or verdict is QueueVerdict.RESTING
        else _latency_ms(observation.executed),
        "pending_tasks": observation.pending,
        "workers": serving,
        "withheld": observation.withheld,
    }
    named = dict(sorted(nodes.items())[:NAMES_LISTED])
    detail = {"nodes": {node: worker.value for node, worker in named.items()}}
    message = _queue_message(observation, verdict)
    return Outcome(_QUEUE_STATUS[verdict], data, verdict.value, message, detail, series=QUEUE_SERIES)


def host_outcome(name: str, metrics: Mapping[str, Mapping[str, float]], nodes: Iterable[str]) -> Outcome:
    """Return the outcome of a host, from the metrics in the newest beacon of its workers."""
    data = {kind: _host_metric(kind, numbers) for kind, numbers in metrics.items()}
    high = sorted(kind for kind, numbers in data.items() if numbers["status"] is not Status.OK)
    detail = {"host": name, "nodes": sorted(set(nodes))[:NAMES_LISTED]}
    if not high:
        return Outcome(Status.OK, data, detail=detail)
    return Outcome(Status.WARNING, data, Reason.ABOVE_THRESHOLD, f"{', '.join(high)} above the threshold", detail)


def summary_outcome(outcomes: Mapping[str, Outcome], *, suspended: bool, critical: bool) -> Outcome:
    """Return the outcome of the check ``workers``: the summary of ``outcomes``, which are by check name.

    It is an error if ``critical`` is true and a queue is not consumed. If anything else is not ok, it is a warning.
    """
    workers = {name: outcome for name, outcome in outcomes.items() if name.startswith("worker:")}
    queues = {name: outcome for name, outcome in outcomes.items() if name.startswith("queue:")}
    data = {
        "workers": _counts_by_verdict(workers.values()),
        "queues": _counts_by_verdict(queues.values()),
        "slots_stuck": sum(_has_stuck_slots(outcome) for outcome in workers.values()),
        "outdated": sum(outcome.data.get("outdated") is not None for outcome in workers.values()),
        "suspended": suspended,
    }
    not_ok: dict[str, list[str]] = {}
    for name, outcome in {**queues, **workers}.items():
        if outcome.status is not Status.OK:
            not_ok.setdefault(str(outcome.reason), []).append(name.partition(":")[2])
    detail = {reason: sorted(names)[:NAMES_LISTED] for reason, names in not_ok.items()}
    if not not_ok:
        return _ok_summary(workers, data)
    reason = min(not_ok, key=_rank)
    status = Status.ERROR if reason == QueueVerdict.UNCONSUMED and critical else Status.WARNING
    return Outcome(status, data, reason, _all_listed(detail), detail, series=SUMMARY_SERIES)


def _ok_summary(workers: Mapping[str, Outcome], data: Mapping[str, Any]) -> Outcome:
    """Return the outcome of the check ``workers`` while all workers and queues are ok."""
    outdated = {name: outcome for name, outcome in workers.items() if outcome.reason == WorkerReason.OUTDATED}
    if not outdated:
        return Outcome(Status.OK, data, series=SUMMARY_SERIES)
    by_side = {
        side: sorted(name.partition(":")[2] for name, each in outdated.items() if each.data.get("outdated") == side)
        for side in Side
    }
    message = "; ".join(f"{_OUTDATED_TEXTS[side]}: {_listed_names(names)}" for side, names in by_side.items() if names)
    detail = {str(WorkerReason.OUTDATED): sorted(name for names in by_side.values() for name in names)[:NAMES_LISTED]}
    return Outcome(Status.OK, data, WorkerReason.OUTDATED, message, detail, series=SUMMARY_SERIES)


def _counts_by_verdict(outcomes: Iterable[Outcome]) -> dict[str, int]:
    return dict(Counter(str(outcome.data.get("verdict")) for outcome in outcomes))


def _has_stuck_slots(outcome: Outcome) -> bool:
    is_duplicate = outcome.reason == WorkerReason.DUPLICATE
    return outcome.reason == WorkerReason.SLOTS_STUCK or (is_duplicate and bool(outcome.data.get("slots_stuck")))


_WORST_REASONS_FIRST: tuple[str, ...] = (
    QueueVerdict.UNCONSUMED,
    *(verdict for verdict in WORST_FIRST if verdict not in _OK_VERDICTS),
    QueueVerdict.SLOW,
    WorkerReason.SLOTS_STUCK,
    WorkerReason.DUPLICATE,
)


def _rank(reason: str) -> int:
    return _WORST_REASONS_FIRST.index(reason) if reason in _WORST_REASONS_FIRST else len(_WORST_REASONS_FIRST)


def _all_listed(names: Mapping[str, list[str]]) -> str:
    return "; ".join(_listed(reason, names[reason]) for reason in names)


def _listed(reason: str, names: list[str]) -> str:
    return f"{reason.replace('_', ' ')}: {_listed_names(names)}"


def _listed_names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _host_metric(kind: str, numbers: Mapping[str, float]) -> dict[str, Any]:
    limit, percent = HOST_METRIC_LIMITS.get(kind), numbers.get("percent")
    if limit is None or percent is None or percent <= limit:
        return {"status": Status.OK, **numbers}
    return {"status": Status.WARNING, "reason": Reason.ABOVE_THRESHOLD, **numbers}


def _latency_ms(executed: ExecutedHeartbeat | None) -> float | None:
    return round(max(0.0, executed.done_at - executed.sent_at) * 1e3, 1) if executed else None


def _worker_message(observation: WorkerObservation, verdict: WorkerVerdict, reason: str, stuck: int) -> str | None:
    beacon = observation.beacon
    if reason == WorkerReason.SLOTS_STUCK:
        stalled = "execute nothing, or " if beacon.stalled else ""
        return f"{stuck} of {beacon.slots} slots {stalled}hold a task for longer than stuck_after"
    if verdict in _OK_VERDICTS:
        if reason == WorkerReason.FORGOTTEN:
            return "no beacon for a long time"
        return _how_judged(observation) if verdict is WorkerVerdict.CONSUMING else None
    if verdict is WorkerVerdict.STUCK:
        return f"all {beacon.slots} slots hold a task for longer than stuck_after; the oldest is {_oldest(observation)}"
    no_beacon = f"no beacon for {observation.beacon_age_seconds:.0f} s"
    texts = {
        WorkerVerdict.LOST: f"{no_beacon}, and it is no longer connected: killed, or out of memory",
        WorkerVerdict.SILENT: f"{no_beacon}, and the store does not report whether it is still connected",
        WorkerVerdict.FROZEN: f"{no_beacon}, but it is still connected: stopped, or its host does not respond",
        WorkerVerdict.WEDGED: f"{_unanswered(observation)}; {beacon.active_count} of {beacon.slots} slots taken, "
        f"{beacon.reserved} tasks reserved",
    }
    if verdict is WorkerVerdict.FROZEN and observation.beacon_age_seconds < (beacon.loop_lag_seconds or 0.0):
        return f"its event loop has been blocked for {beacon.loop_lag_seconds:.0f} s"
    return texts[verdict]


def _how_judged(observation: WorkerObservation) -> str | None:
    if observation.is_judged_by_heartbeats:
        return None
    return UNKNOWN_POOL if observation.beacon.direct else WITHOUT_HEARTBEATS


def _unanswered(observation: WorkerObservation) -> str:
    return f"executes nothing: a heartbeat has waited for {observation.unanswered_seconds or 0.0:.0f} s"


def _oldest(observation: WorkerObservation) -> str:
    task = observation.beacon.active[0]
    return f"{task.task}, {task.age_seconds:.0f} s"


def _queue_message(observation: QueueObservation, verdict: QueueVerdict) -> str | None:
    waits = f"; {observation.pending} tasks wait" if observation.pending is not None else ""
    if verdict is QueueVerdict.CONSUMED:
        return None
    if verdict is QueueVerdict.SLOW:
        return f"a heartbeat took, or has waited for, longer than slow_after{waits}"
    if verdict is QueueVerdict.RESTING:
        allowed = "as workers.may_rest allows" if observation.may_rest else "and the last one shut down properly"
        return f"no worker consumes it, {allowed}{waits}"
    if not observation.workers:
        return f"no worker consumes it{waits}"
    return f"none of the {len(observation.workers)} workers that declare it takes messages from it{waits}"
