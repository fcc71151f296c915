"""The shop's workers and queues at a moment, told in the words that the monitor has for them."""

from __future__ import annotations

from collections.abc import Mapping

from demo.curves import load, wobble
from demo.shop import QUEUES, WORKERS, numbers
from demo.story import Story
from monitor.agent.protocol import ActiveTask, Beacon
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Outcome, QueueVerdict, WorkerVerdict
from monitor.policy.runtime_checks import SUMMARY
from monitor.policy.workers.outcomes import queue_outcome, summary_outcome, worker_outcome
from monitor.policy.workers.verdicts import QueueObservation, WorkerObservation
from monitor.ports.workers import ExecutedHeartbeat

SLOTS = 8
START_SECONDS = 20.0
UP_SECONDS = 9.4 * 3600
_TASKS = {"checkout": "shop.orders.place", "mail": "shop.mail.send"}
_VERSIONS = {"celery": "5.7.0", "kombu": "5.7.0", "redis": "8.1.0", "python": "3.13.1"}


def outcomes(story: Story, at: float) -> Mapping[str, Outcome]:
    """Of every worker and queue, and their summary, by check name."""
    settings = WorkerSettings()
    verdicts = {name: _verdict(story, name, at) for name in WORKERS}
    found = {
        f"worker:{name}": worker_outcome(_worker(story, name, verdict, at), verdict, settings)
        for name, verdict in verdicts.items()
    }
    for queue in QUEUES:
        spell = story.spell(f"queue:{queue}", at)
        verdict = QueueVerdict(spell.reason) if spell else QueueVerdict.CONSUMED
        nodes = {name: verdicts[name] for name, queues in WORKERS.items() if queue in queues}
        found[f"queue:{queue}"] = queue_outcome(_queue(story, queue, tuple(nodes.values()), at), verdict, nodes)
    return {**found, SUMMARY: summary_outcome(found, suspended=False, critical=True)}


def _verdict(story: Story, name: str, at: float) -> WorkerVerdict:
    spell = story.spell(f"worker:{name}", at)
    if spell is not None:
        return WorkerVerdict(spell.reason)
    if _up(story, name, at) < START_SECONDS:
        return WorkerVerdict.STARTING
    return WorkerVerdict.BUSY if _active(story, name, at) == SLOTS else WorkerVerdict.CONSUMING


def _up(story: Story, name: str, at: float) -> float:
    """Since it was restarted: how wedged workers get well."""
    ended = [each.until for each in story.spells.get(f"worker:{name}", ()) if each.until <= at]
    return at - max(ended, default=story.began - UP_SECONDS)


def _active(story: Story, name: str, at: float) -> int:
    if story.spell(f"worker:{name}", at) is not None:
        return 0
    waiting = max(numbers(story, f"queue:{queue}", at)["pending_tasks"] for queue in WORKERS[name])
    usual = 1 + 4.5 * load(at) + 1.6 * wobble(f"{story.seed}/{name}", at, 20)
    return SLOTS if waiting > 500 else max(0, min(SLOTS - 1, round(usual)))


def _worker(story: Story, name: str, verdict: WorkerVerdict, at: float) -> WorkerObservation:
    spell, active = story.spell(f"worker:{name}", at), _active(story, name, at)
    task = _TASKS.get(WORKERS[name][-1], "shop.tasks.work")
    up = _up(story, name, at)
    beacon = Beacon(
        node=name,
        host=f"{name.partition('@')[2]}.internal",
        pid=4000 + sum(map(ord, name)),
        pool="prefork",
        slots=SLOTS,
        interval_seconds=5.0,
        up_seconds=up,
        queues=WORKERS[name],
        direct=True,
        active=tuple(ActiveTask(task, round(2.4 - 0.25 * place, 1)) for place in range(active)),
        active_count=active,
        reserved=24 if spell else active // 2,
        done=int((min(up, at - spell.since) if spell else up) * 3.1),
        loop_lag_seconds=round(0.02 + 0.02 * abs(wobble(name, at, 30)), 2),
        rss_mb=round(182 + 9 * wobble(f"{name}/rss", at, 3600), 1),
        versions=_VERSIONS,
    )
    latency = 0.009 + 0.012 * load(at) + 0.006 * wobble(f"{story.seed}/{name}/latency", at, 15)
    executed = ExecutedHeartbeat(at - 2.0 - latency, at - 2.0, name)
    if spell or verdict is WorkerVerdict.STARTING:
        executed = ExecutedHeartbeat(at - up - 5.0, at - up - 4.0, name)  # by the one before it
    waiting = at - spell.since + 6.0 if spell is not None else None
    return WorkerObservation(beacon, 1.0, 1.0, at - 1.0, executed, waiting, connected=True)


def _queue(story: Story, name: str, workers: tuple[WorkerVerdict, ...], at: float) -> QueueObservation:
    found = numbers(story, f"queue:{name}", at)
    executed = ExecutedHeartbeat(at - 2.0 - found["latency_ms"] / 1e3, at - 2.0, "")
    return QueueObservation(name, 0.0, workers, executed, pending=round(found["pending_tasks"]))
