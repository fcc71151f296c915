"""What is done to a worker, a queue or the servers, and how it is undone. Each takes the stage and the case's name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from soak.nodes import Node
from soak.stage import Stage
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

Action = Callable[[Stage, str], None]


def nothing(stage: Stage, case: str) -> None:
    """What is wrong, if anything is, was so from the start."""


def send_signal(name: str, *, children_only: bool = False, half: bool = False) -> Action:
    """A signal to a worker's main process and its children, or to the children alone; to ``half`` of them."""

    def act(stage: Stage, case: str) -> None:
        node = _victim(stage, case)
        pids = sorted(node.slots_processes if children_only else node.family)
        for pid in pids[: len(pids) // 2] if half else pids:
            os.kill(pid, getattr(signal, name))

    return act


def terminate(stage: Stage, case: str) -> None:
    """SIGTERM to the main process, as Docker, Kubernetes and systemd send it."""
    os.kill(_victim(stage, case).pid, signal.SIGTERM)


def kill(stage: Stage, case: str) -> None:
    """SIGKILL to the main process and its children, as the OOM killer does it to a container."""
    _victim(stage, case).kill("SIGKILL")


def restart(stage: Stage, case: str) -> None:
    """Kill what is left of the worker, and start it again under its name."""
    node = _victim(stage, case)
    node.end()
    node.start_with(node.queues)


def restart_without_queues(stage: Stage, case: str) -> None:
    """Deploy it anew, with its ``-Q`` forgotten."""
    node = _victim(stage, case)
    node.kill("SIGTERM")
    node.start_with(())


def restart_in_peace(stage: Stage, case: str) -> None:
    """Deploy it anew: SIGTERM, and the same worker comes back."""
    node = _victim(stage, case)
    node.kill("SIGTERM")
    node.start()


def wake(stage: Stage, case: str) -> None:
    """Tasks come for a queue without a worker, in which nothing else may be; and a worker comes for them."""
    with stage.broker.client() as client:
        waiting = client.lrange(f"{case}.own", 0, -1)
    assert not waiting, f"{len(waiting)} messages would have woken an autoscaler: {waiting[0][:300]!r}"
    stage.feed(f"{case}.own")
    restart(stage, case)


def fill_slots(task: str, *arguments: object, slots: int | None = None, queue: str = "own") -> Action:
    """As many tasks as the worker has slots, or ``slots``, to a queue that nobody else consumes.

    An argument ``release`` becomes the name of the file that ends the task.
    """

    def act(stage: Stage, case: str) -> None:
        given = [str(stage.directory / f"{case}.release") if a == "release" else a for a in arguments]
        given = [a * stage.interval if isinstance(a, float) else a for a in given]
        stage.send(task, *given, queue=f"{case}.{queue}", times=slots or _victim(stage, case).slots)

    return act


def release(stage: Stage, case: str) -> None:
    """End the tasks that wait for a file."""
    (stage.directory / f"{case}.release").touch()


def cancel_consumer(stage: Stage, case: str) -> None:
    """Celery's remote control command, for one of its queues."""
    stage.control("cancel_consumer", _victim(stage, case), queue=f"{case}.own")


def add_consumer(stage: Stage, case: str) -> None:
    """And its contrary."""
    stage.control("add_consumer", _victim(stage, case), queue=f"{case}.own")


def half_open_brpop(stage: Stage, case: str) -> None:
    """Packets of the connection that waits for tasks are dropped from now on; there is neither FIN nor RST."""
    proxy = _victim(stage, case).proxy
    assert proxy is not None

    def waiting() -> set[int]:
        with stage.redis.client() as client:
            clients = [c for c in client.client_list() if c["cmd"] == "brpop"]
        return {int(c["addr"].rsplit(":", 1)[1]) for c in clients} & set(proxy.upstream_ports)

    proxy.abandon(wait_for(waiting, seconds=10, what="the worker waits for tasks"))


def half_open_all(stage: Stage, case: str) -> None:
    """Packets of every connection that is open now are dropped; new connections work."""
    proxy = _victim(stage, case).proxy
    assert proxy is not None
    proxy.abandon()


def unreachable(stage: Stage, case: str) -> None:
    """All packets are dropped, those of new connections too."""
    proxy = _victim(stage, case).proxy
    assert proxy is not None
    proxy.set("blackhole")


def slow_link(round_trip: float) -> Action:
    """Each packet takes half of so many intervals."""
    return late_packets(round_trip / 2, share=1.0)


def late_packets(delay: float, *, share: float) -> Action:
    """A share of the packets takes so many intervals, as packets that are lost and sent again."""

    def act(stage: Stage, case: str) -> None:
        proxy = _victim(stage, case).proxy
        assert proxy is not None
        proxy.set("latency", seconds=delay * stage.interval, share=share)

    return act


def purge_and_restart(stage: Stage, case: str) -> None:
    """Drop what waits, and what the worker has taken."""
    purge(stage, case)
    restart(stage, case)


def reachable(stage: Stage, case: str) -> None:
    """Packets pass again."""
    proxy = _victim(stage, case).proxy
    assert proxy is not None
    proxy.set("ok")


def backlog(messages: int) -> Action:
    """So many short tasks at once: they last for about 30 intervals."""

    def act(stage: Stage, case: str) -> None:
        seconds = 30 * stage.interval * _victim(stage, case).slots / messages
        stage.send("sleep", seconds, queue=f"{case}.own", times=messages)

    return act


def purge(stage: Stage, case: str) -> None:
    """Drop what waits."""
    stage.purge(f"{case}.own")


def restart_redis(times: int, *, within_seconds: float, empty: bool = False, which: str = "redis") -> Action:
    """SIGKILL and start again, so often; with its data, or ``empty``. ``which``: the store, or the ``broker``."""

    def act(stage: Stage, case: str) -> None:
        server: RedisServer = getattr(stage, which)
        for _ in range(times):
            server.kill()
            if empty:
                server.forget_data()
            time.sleep(within_seconds / times / 4)
            server.start()
            time.sleep(within_seconds / times * 3 / 4)

    return act


def freeze_redis(seconds: float, *, which: str = "redis") -> Action:
    """SIGSTOP, and SIGCONT after some time. ``which``: the store, or the ``broker``."""

    def act(stage: Stage, case: str) -> None:
        server: RedisServer = getattr(stage, which)
        server.freeze()
        time.sleep(seconds)
        server.thaw()

    return act


def freeze_redis_and_kill(seconds: float) -> Action:
    """While nothing can be said of anybody, the worker is killed."""

    def act(stage: Stage, case: str) -> None:
        stage.redis.freeze()
        time.sleep(seconds / 2)
        kill(stage, case)
        time.sleep(seconds / 2)
        stage.redis.thaw()

    return act


def be_away(seconds: float) -> Action:
    """The monitor's own roles are killed, and started again after some time."""

    def act(stage: Stage, case: str) -> None:
        for role in stage.monitor.roles:
            role.kill("SIGKILL")
        time.sleep(seconds)
        for role in stage.monitor.roles:
            role.start()

    return act


def stand_still(seconds: float) -> Action:
    """The monitor's own roles stand still for some time."""

    def act(stage: Stage, case: str) -> None:
        for role in stage.monitor.roles:
            os.kill(role.pid, signal.SIGSTOP)
        time.sleep(seconds)
        for role in stage.monitor.roles:
            os.kill(role.pid, signal.SIGCONT)

    return act


def succeed(stage: Stage, case: str) -> None:
    """A new worker of the same name starts before the old one is told to end, which then takes its time."""
    old = _victim(stage, case)
    stage.send("sleep", 4 * stage.interval, queue=f"{case}.own", times=old.slots)
    new = stage.start_node(old.node.partition("@")[0], pool=old.pool, slots=old.slots, queues=old.queues, key="new")
    wait_for(lambda: "ready." in new.logs(), seconds=60, what="the new worker is ready")
    os.kill(old.pid, signal.SIGTERM)


def start_twin(*, children_stopped: bool = False) -> Action:
    """Start another worker under the same name; with ``children_stopped`` its pool stands still as soon as it is up."""

    def act(stage: Stage, case: str) -> None:
        victim = _victim(stage, case)
        name, key = victim.node.partition("@")[0], f"{case}.twin"
        twin = stage.start_node(name, pool=victim.pool, slots=victim.slots, queues=victim.queues, key=key)
        wait_for(lambda: "ready." in twin.logs(), seconds=60, what="the twin is ready")
        if children_stopped:
            for pid in twin.slots_processes:
                os.kill(pid, signal.SIGSTOP)

    return act


def end_twin(stage: Stage, case: str) -> None:
    """End the other one as a deployment does."""
    twin = stage.nodes[f"{case}.twin"]
    for pid in twin.family:
        os.kill(pid, signal.SIGCONT)
    os.kill(twin.pid, signal.SIGTERM)


def join_unmodified(stage: Stage, case: str) -> None:
    """A worker that knows nothing of us begins to consume the shared queue."""
    stage.start_node(
        f"{case}.unmodified",
        pool="prefork",
        slots=2,
        queues=[f"{case}.shared"],
        env={"SHOP_INSTRUMENTED": "no"},
    )


def _victim(stage: Stage, case: str) -> Node:
    return stage.nodes[f"{case}.victim"]
