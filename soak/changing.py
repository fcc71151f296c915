"""A fleet that changes all the time and in which nothing is wrong: nobody may be told of anything."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from soak.nodes import Node
from soak.stage import RESTING, Stage
from soak.watch import Said
from tests.support.processes import wait_for

POOLS = (("prefork", 2), ("threads", 4), ("gevent", 10), ("solo", 1))
QUEUES = ("orders", "mail", "reports")
SCALED = f"{RESTING}video"
"""The queue of a worker that is scaled to zero, and back for a task."""
STARTED = 8
MOST = 11


def run(minutes: float, interval: float, python: Path, *, seed: int) -> tuple[list[str], bool]:
    """Let it run; what happened, as lines of markdown, and whether nobody was told of anything."""
    dice, counts = random.Random(seed), Counter[str]()
    with Stage(interval, queues=QUEUES, python=python) as stage:
        fleet = [_start(stage, number) for number in range(STARTED)]
        scaled = stage.start_node("scaled", pool="prefork", slots=1, queues=[SCALED])
        number = STARTED
        stage.feed(*QUEUES)
        stage.wait_for_verdicts([(f"worker:{node.node}", "consuming") for node in fleet], seconds=180)
        stage.wait_for_verdicts([(f"queue:{queue}", "consumed") for queue in (*QUEUES, SCALED)], seconds=60)
        start, ends = stage.now(), time.monotonic() + minutes * 60
        while time.monotonic() < ends:
            step = dice.choices(("load", "roll", "relieve", "in", "out", "scale"), (8, 2, 1, 1, 1, 1))[0]
            if step == "load":
                _burst(stage, dice, counts)
            elif step == "roll":
                _roll(dice.choice(fleet), counts)
            elif step == "scale":
                _scale(stage, scaled, counts)
            elif step == "relieve":
                place = dice.randrange(len(fleet))
                fleet[place] = _relieve(stage, fleet[place], counts)
            elif step == "in" and len(fleet) > STARTED - 2:
                node = dice.choice(fleet)
                fleet.remove(node)
                counts["scaled in"] += 1
                threading.Thread(target=_stop, args=(node,), daemon=True).start()
            elif step == "out" and len(fleet) < MOST:
                fleet.append(_start(stage, number))
                number += 1
                counts["scaled out"] += 1
            time.sleep(dice.uniform(0.2, 2.0) * interval)
        end = stage.now()
        said = stage.watcher.during(start, end, lambda said: said.at > start)
        alarms = [
            each
            for each in said
            if each.status != "ok" and each.verdict != "slow" and not each.check.startswith("host:")
        ]
    verdicts = Counter(f"{each.check.partition(':')[0]} {each.verdict}" for each in said)
    lines = [
        f"{(end - start) / 60:.0f} minutes, {STARTED} workers at first, seed {seed}.",
        "",
    ]
    lines += [f"- {what}: {times}" for what, times in sorted(counts.items())]
    lines += [
        "",
        "Changes of verdict: " + ", ".join(f"{what} {times}" for what, times in sorted(verdicts.items())) + ".",
        "",
    ]
    lines += [f"**False alarms: {len(alarms)}**", *(f"- {_tell(each, start)}" for each in alarms)]
    print("\n".join(lines))
    return lines, not alarms


def _start(stage: Stage, number: int) -> Node:
    pool, slots = POOLS[number % len(POOLS)]
    # Each queue has several consumers, each worker several queues.
    queues = [queue for index, queue in enumerate(QUEUES) if (number + index) % 3 != 0]
    # Every other one has queues of its own besides: kombu's Broadcast, Celery's worker_direct, one that expires.
    env = {"SHOP_SHORT_LIVED": "yes"} if number % 2 else {}
    return stage.start_node(f"shop-{number}", pool=pool, slots=slots, queues=queues, env=env)


def _burst(stage: Stage, dice: random.Random, counts: Counter[str]) -> None:
    tasks = dice.choice((5, 20, 100, 400))
    seconds = min(dice.choice((0.0, 0.01, 0.1, 1.0, 5.0)), 200 / tasks)
    stage.send("sleep", seconds, queue=dice.choice(QUEUES), times=tasks)
    counts["bursts"] += 1
    counts["tasks in bursts"] += tasks


def _roll(node: Node, counts: Counter[str]) -> None:
    """SIGTERM, and the same name comes back."""
    counts["restarts"] += 1
    _stop(node)
    node.start()


def _scale(stage: Stage, node: Node, counts: Counter[str]) -> None:
    """What an autoscaler does: to zero while nothing waits, and back for a task."""
    if node.status == "running":
        counts["scaled to zero"] += 1
        _stop(node)
    else:
        counts["scaled from zero"] += 1
        stage.send("noop", queue=SCALED)
        node.start()


def _relieve(stage: Stage, old: Node, counts: Counter[str]) -> Node:
    """A rolling deployment under one name: the new worker is up before the old one is asked to end."""
    counts["deployments under one name"] += 1
    name, key = old.node.partition("@")[0], f"{old.node}+{counts['deployments under one name']}"
    new = stage.start_node(name, pool=old.pool, slots=old.slots, queues=old.queues, key=key)
    wait_for(lambda: "ready." in new.logs(), seconds=60, what="the new worker is ready")
    threading.Thread(target=_stop, args=(old,), daemon=True).start()
    return new


def _stop(node: Node) -> None:
    """SIGTERM; it may take its time over the tasks that it has begun."""
    os.kill(node.pid, signal.SIGTERM)
    node.wait(180)


def _tell(said: Said, start: float) -> str:
    return f"{said.check} {said.status} ({said.verdict}) at {said.at - start:.0f} s: {said.message}"
