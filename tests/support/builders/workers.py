"""Workers, broker and store in virtual time, which simulate hours of rounds in a second."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.agent.identity import Identity
from monitor.agent.protocol import ActiveTask, Beacon, direct_queue, instance_target, target_field, with_project
from monitor.config.settings import WorkerSettings
from monitor.model.checks import State
from monitor.ports.store import StoreUnavailable
from monitor.ports.workers import (
    BrokerSnapshot,
    BrokerUnavailable,
    ExecutedHeartbeat,
    QueueDepth,
    StoredBeacon,
    WorkerReport,
)
from monitor.services import watch_workers
from monitor.store.memory.store import MemoryStore
from tests.support.builders import NOW

T = 10.0
STEP = 0.5


@dataclass
class Node:
    """Worker that writes beacons if ``alive``, ``executes`` tasks after ``latency``, and is ``connected`` or not."""

    name: str
    queues: tuple[str, ...] = ("celery",)
    born_at: float = 0.0
    alive: bool = True
    executes: bool = True
    connected: bool = True
    leaving: bool = False
    tasks: tuple[ActiveTask, ...] = ()
    slots: int = 2
    lag: float = 0.5
    reserved: int = 0
    held_back: int = 0
    prefetch_full: bool = False
    stalled: int = 0
    tasks_per_child: int | None = None
    done: int = 0
    heartbeats: int = 0
    latency: float = 0.0
    beacon_at: float = 0.0
    project: Identity = Identity()  # noqa: RUF009 - frozen
    short_lived: dict[str, str] = field(default_factory=dict)
    instrumented: bool = True
    instance: str = ""
    """Empty for an agent of an earlier version, whose queue has its node name."""
    host: str = "h"
    pid: int = 1

    @property
    def target(self) -> str:
        """Return the target of its heartbeats."""
        return instance_target(self.name, self.instance) if self.instance else self.name


@dataclass
class World:
    """World of workers. It is both a `monitor.ports.workers.WorkerRegistry` and a `monitor.ports.workers.Broker`."""

    settings: WorkerSettings = field(default_factory=lambda: WorkerSettings(interval=T))
    now: float = NOW
    nodes: dict[str, Node] = field(default_factory=dict)
    old_agents: bool = False
    messages: dict[str, deque[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(deque))
    beacons: dict[str, StoredBeacon] = field(default_factory=dict)
    executed: dict[str, ExecutedHeartbeat] = field(default_factory=dict)
    notes: bytes = b""
    store_up: bool = True
    broker_up: bool = True
    store_run: str = "s1"
    broker_run: str = "b1"
    strangers: frozenset[str] = frozenset()
    tells_connections: bool = True
    rounds: bool = True
    project: Identity = Identity()  # noqa: RUF009 - frozen
    owner: Identity | None = None
    alarms: list[tuple[float, str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left_out: dict[str, int] = defaultdict(int)
        self.sent: dict[str, int] = defaultdict(int)
        self.store = MemoryStore(clock=lambda: self.now)
        self._round_at = self.now
        self._started: dict[str, Node] = {}

    def start(self, name: str, *queues: str, beside: bool = False) -> Node:
        """Start a worker, beside or instead of the running one of its name, which is then killed."""
        if name in self.nodes and not beside:
            self.nodes[name].alive = self.nodes[name].connected = False
        number = len(self._started)
        instance = "" if self.old_agents else f"{number:016x}"
        node = Node(name, queues or ("celery",), self.now, instance=instance, host=f"h{number}", pid=number)
        self.nodes[f"{name}+{number}" if beside else name] = self._started[node.target] = node
        return node

    def run(self, seconds: float) -> None:
        """Advance the clock."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            for node in self.nodes.values():
                self._live(node)
            if self.rounds and self.store_up and self.now - self._round_at >= T / 2:
                self._round_at = self.now
                self.round()

    def round(self) -> watch_workers.WorkerRound:
        """Run one round of the monitor."""
        try:
            made = watch_workers.run_round(
                self.settings,
                store=self.store.states,
                registry=self,
                broker=self,
                project=self.project,
                owner=self.owner,
            )
        except StoreUnavailable:
            return watch_workers.WorkerRound("unavailable")
        for transition in made.transitions:
            if transition.new.severity:
                self.alarms.append((self.now, transition.check, transition.reason))
        return made

    def state(self, check: str) -> State:
        """Return the state of a check."""
        return self.store.states.read().states[check]

    def verdict(self, check: str) -> str:
        """Return the verdict in the state of a check."""
        return str(self.state(check).result.data["verdict"])

    def flush(self) -> None:
        """Flush the server, which is both store and broker."""
        self.store = MemoryStore(clock=lambda: self.now)
        self.notes, self.beacons, self.executed = b"", {}, {}
        self.messages.clear()
        self.restart()

    def restart(self) -> None:
        """Restart the server with its data."""
        self.store_run += "x"
        self.broker_run += "x"

    def _live(self, node: Node) -> None:
        if node.alive and node.instrumented and self.store_up and self.now - node.beacon_at >= T / 2:
            node.beacon_at = self.now
            self.beacons[node.target] = StoredBeacon(self._beacon(node), self.now)
        if not (node.alive and node.executes and self.broker_up and self.store_up and not node.leaving):
            return
        if len(node.tasks) >= node.slots:
            return
        for queue in (direct_queue(node.target), *node.queues):
            self.take(node, queue)

    def take(self, node: Node, queue: str) -> None:
        """Let the worker execute the tasks that have waited in a queue for long enough."""
        messages, ripe = self.messages[queue], (self.now - node.latency) * 1e6
        while messages and messages[0][2] <= ripe:
            kind, target, sent = messages.popleft()
            if kind in ("worker", "queue"):
                node.heartbeats += 1
                self._execute(node, kind, target, sent / 1e6)

    def _beacon(self, node: Node) -> Beacon:
        age = self.now - node.born_at
        tasks = tuple(ActiveTask(task.task, self.now - task.age_seconds) for task in node.tasks)
        values = (node.slots, T, age, node.queues, True, tasks, len(tasks))
        beacon = with_project(Beacon(node.name, node.host, node.pid, "prefork", *values), node.project)
        return Beacon(
            **{
                **beacon.__dict__,
                "leaving": node.leaving,
                "instance": node.instance or f"{node.name} of {node.born_at}",
                "direct_queue": direct_queue(node.target) if node.instance else "",
                "loop_lag_seconds": node.lag,
                "client_id": 1,
                "done": node.done,
                "reserved": node.reserved,
                "short_lived": node.short_lived,
                "held_back": node.held_back,
                "prefetch_full": node.prefetch_full,
                "stalled": node.stalled,
                "tasks_per_child": node.tasks_per_child,
                "heartbeats": node.heartbeats,
            }
        )

    def _execute(self, node: Node, kind: str, target: str, sent: float) -> None:
        name = target_field(kind, target)
        if name not in self.executed or self.executed[name].sent_at < sent:
            self.executed[name] = ExecutedHeartbeat(sent, self.now, node.name, node.instance)

    # The ports.

    def report(self) -> WorkerReport:
        if not self.store_up:
            raise StoreUnavailable("away")
        return WorkerReport(self.now, dict(self.beacons), dict(self.executed), self.notes, self.store_run, 1e6)

    def round_state(self) -> bytes:
        return self.notes

    def count_rejected(self, kind: str, number: int = 1) -> None:
        self.left_out[kind] += number

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        if not self.tells_connections:
            return None
        return {beacon.target: self._started[beacon.target].connected for beacon in workers}

    def store_round(self, round_state: bytes, *, emitted: Mapping[str, float], removed: Iterable[Beacon] = ()) -> None:
        self.notes = round_state
        for beacon in removed:
            self.beacons.pop(beacon.target, None)
            self.executed.pop(target_field("worker", beacon.target), None)

    def snapshot(self, queues: Iterable[str], *, heads: Container[str]) -> BrokerSnapshot:
        if not self.broker_up:
            raise BrokerUnavailable("away")
        depths = {q: QueueDepth(len(self.messages[q]), self._head(q) if q in heads else None) for q in queues}
        return BrokerSnapshot(depths, self.strangers | {node.name for node in self.nodes.values()}, self.broker_run)

    def send(self, heartbeats: Iterable[tuple[str, tuple[Any, ...], str]]) -> None:
        if not self.broker_up:
            raise BrokerUnavailable("away")
        for queue, arguments, _ in heartbeats:
            self.messages[queue].append(arguments)
            self.sent[queue] += 1

    def remove(self, queues: Iterable[str]) -> None:
        for queue in queues:
            self.messages.pop(queue, None)

    def take_back(self, queues: Iterable[str]) -> Mapping[str, int]:
        found = {}
        for queue in queues:
            kept = [each for each in self.messages[queue] if each[0] != "queue"]
            found[queue] = len(self.messages[queue]) - len(kept)
            self.messages[queue] = deque(kept)
        return found

    def _head(self, queue: str) -> str | None:
        return str(self.messages[queue][0]) if self.messages[queue] else None
