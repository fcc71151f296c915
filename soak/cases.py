"""The table: what is done to whom, what must be said of it and when, and how all is well again.

In each case a worker, the victim, consumes two queues: ``own``, which nobody else consumes, and ``shared``, which two
healthy neighbours consume as well. Names of workers and queues begin with the case's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from soak import faults
from soak.faults import Action
from soak.stage import RETURN_WITHIN, STUCK_AFTER, Stage

DETECTED_WITHIN = 3.0
RECOVERED_WITHIN = 2.0

STALLED_AFTER = 5.0
"""A slot is stalled after 2 intervals, and after 10 s at the earliest: 5 intervals of 2 s."""

VICTIM = "worker:{}.victim@soak"
OWN = "queue:{}.own"
SHARED = "queue:{}.shared"


@dataclass(frozen=True)
class Expected:
    """What must be said of a worker or a queue, so many intervals after the fault at the latest.

    ``after`` is what is waited for by design (the threshold between busy and stuck), in intervals. Any of several
    ``verdicts`` is right where it depends on the moment which of them is true.
    """

    check: str
    verdicts: tuple[str, ...]
    after: float = 0.0
    within: float = DETECTED_WITHIN


@dataclass(frozen=True)
class Case:
    """One fault. Durations are in intervals.

    ``allowed`` may be said meanwhile and need not; what is neither expected nor allowed is a false alarm. Without
    ``expected`` the case is about silence, and lasts for ``lasts``. Unless it is ``fed``, its queue ``own`` gets no
    tasks of the user before ``heal`` says so. ``silent_log`` names a worker that must log nothing
    of ours; with ``suspends`` the summary must say that verdicts were suspended.
    """

    name: str
    title: str
    fault: Action
    pool: str = "prefork"
    slots: int = 2
    queues: tuple[str, ...] = ("own", "shared")
    expected: tuple[Expected, ...] = ()
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: float = 2.0
    lasts: float = 8.0
    heal: Action | None = None
    recovers: bool = True
    proxied: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    own_broker: bool = False
    in_tests: bool = False
    silent_log: str | None = None
    suspends: bool = False
    fed: bool = True

    @property
    def alarms(self) -> bool:
        """Whether anybody must be told of anything."""
        return bool(self.expected)


def victim(*verdicts: str, after: float = 0.0, within: float = DETECTED_WITHIN) -> tuple[Expected, ...]:
    """The victim's verdict, and that the queue which it alone consumes is consumed by nobody."""
    return (Expected(VICTIM, verdicts, after, within), Expected(OWN, ("unconsumed",), after, within))


LATE: Mapping[str, tuple[str, ...]] = {OWN: ("slow",)}
"""Tasks that waited while nobody took them are late when they are taken at last: that is true, and no more."""

RESUMED: Mapping[str, tuple[str, ...]] = {**LATE, VICTIM: ("wedged",)}
"""Its loop turns again, and it has not executed anything yet."""

SIDE_BY_SIDE = 6.0
"""For so many intervals two workers under one name may be a deployment."""

RESTARTED: Mapping[str, tuple[str, ...]] = {**LATE, VICTIM: ("lost",)}
"""Between its end and its next start it is not there, which may take longer than two short intervals."""

CASES: tuple[Case, ...] = (
    *(
        Case(
            f"killed-{pool}",
            "worker SIGKILLed",
            faults.kill,
            pool=pool,
            expected=victim("lost"),
            allowed=RESTARTED,
            heal=faults.restart,
            in_tests=pool == "prefork",
        )
        for pool in ("prefork", "threads", "gevent", "solo")
    ),
    *(
        Case(
            f"stopped-{pool}",
            "worker SIGSTOPped",
            faults.send_signal("SIGSTOP"),
            pool=pool,
            expected=victim("frozen"),
            allowed=RESUMED,
            heal=faults.send_signal("SIGCONT"),
            in_tests=pool == "threads",
        )
        for pool in ("prefork", "threads", "gevent", "solo")
    ),
    *(
        Case(
            f"retired-{pool}",
            "worker SIGTERMed, others remain",
            faults.terminate,
            pool=pool,
            queues=("shared",),
            expected=(Expected(VICTIM, ("retired",)),),
            recovers=False,
            in_tests=pool == "solo",
        )
        for pool in ("prefork", "threads", "gevent", "solo")
    ),
    Case(
        "last-one",
        "the only consumer of a queue SIGTERMed",
        faults.terminate,
        expected=(
            Expected(VICTIM, ("retired",)),
            Expected(OWN, ("resting",)),
            Expected(OWN, ("unconsumed",), after=RETURN_WITHIN),
        ),
        allowed=RESTARTED,
        heal=faults.restart,
    ),
    Case(
        "scaled",
        "scaled to zero, and back when a task comes",
        faults.terminate,
        queues=("own",),
        expected=(Expected(VICTIM, ("retired",)), Expected(OWN, ("resting",))),
        allowed=RESTARTED,
        holds=RETURN_WITHIN + 4.0,
        heal=faults.wake,
        fed=False,
        in_tests=True,
    ),
    Case(
        "broadcast",
        "queues of one process, over a restart",
        faults.restart_in_peace,
        queues=("own",),
        allowed={**LATE, VICTIM: ("retired",), OWN: ("slow", "resting")},
        env={"SHOP_SHORT_LIVED": "yes"},
        lasts=10.0,
        in_tests=True,
    ),
    Case(
        "children",
        "prefork children SIGSTOPped",
        faults.send_signal("SIGSTOP", children_only=True),
        expected=victim("wedged"),
        allowed=LATE,
        heal=faults.send_signal("SIGCONT", children_only=True),
        in_tests=True,
    ),
    *(
        Case(
            f"deadlock-{pool}",
            "every slot deadlocked",
            faults.fill_slots("deadlock"),
            pool=pool,
            slots=1 if pool == "solo" else 2,
            expected=(Expected(VICTIM, ("busy",)), *victim("stuck", after=STUCK_AFTER)),
            allowed=RESTARTED,
            heal=faults.restart,
            in_tests=pool == "prefork",
        )
        for pool in ("prefork", "threads", "gevent", "solo")
    ),
    Case(
        "slot",
        "1 of 4 slots stuck",
        faults.fill_slots("held", "release", slots=1),
        slots=4,
        expected=(Expected(VICTIM, ("slots_stuck",), after=STUCK_AFTER),),
        heal=faults.release,
        in_tests=True,
    ),
    Case(
        "spin",
        "gevent loop spinning",
        faults.fill_slots("spin", "release", slots=1),
        pool="gevent",
        slots=10,
        expected=victim("frozen"),
        allowed=RESUMED,
        heal=faults.release,
        in_tests=True,
    ),
    Case(
        "cancelled",
        "cancel_consumer of one queue",
        faults.cancel_consumer,
        expected=(Expected(OWN, ("unconsumed",)),),
        allowed=LATE,
        heal=faults.add_consumer,
        in_tests=True,
    ),
    Case(
        "forgotten",
        "worker started without its -Q",
        faults.restart_without_queues,
        queues=("own",),
        expected=(Expected(OWN, ("resting",)), Expected(OWN, ("unconsumed",), after=RETURN_WITHIN)),
        # What it consumed meanwhile is a queue that a worker has declared, and that nobody consumes any more.
        allowed={**LATE, VICTIM: ("retired", "lost"), "queue:celery": ("resting", "unconsumed")},
        heal=faults.restart,
        in_tests=True,
    ),
    Case(
        "brpop",
        "connection half-open: the BRPOP only",
        faults.half_open_brpop,
        expected=victim("wedged"),
        allowed=RESTARTED,
        heal=faults.restart,
        proxied=True,
        in_tests=True,
    ),
    *(
        Case(
            f"half-open-{pool}",
            "connections half-open: all that are open",
            faults.half_open_all,
            pool=pool,
            # Its loop turns on, or waits for an answer to something that it has just said on one of them.
            expected=victim("wedged", "frozen"),
            allowed=RESTARTED,
            heal=faults.restart,
            proxied=True,
        )
        for pool in ("prefork", "threads", "gevent")
    ),
    Case(
        "unreachable",
        "connections half-open: all, new ones too",
        faults.unreachable,
        expected=victim("frozen"),
        allowed=RESUMED,
        heal=faults.reachable,
        proxied=True,
    ),
    *(
        Case(
            f"long-{pool}",
            "long legitimate tasks in every slot",
            faults.fill_slots("sleep", 10.0),
            pool=pool,
            slots=1 if pool == "solo" else 4,
            expected=(Expected(VICTIM, ("busy",)),),
            allowed=LATE,
            holds=6.0,
            in_tests=pool == "prefork",
        )
        for pool in ("prefork", "threads", "gevent", "solo")
    ),
    Case(
        "backlog",
        "a backlog of 5,000",
        faults.backlog(5000),
        slots=8,
        pool="threads",
        allowed=LATE,
        lasts=10.0,
        heal=faults.purge,
        in_tests=True,
    ),
    Case(
        "long-own-pool",
        "a long legitimate task in a pool that is none of Celery's",
        faults.fill_slots("sleep", 10.0),
        pool="custom",
        slots=1,
        env={"CELERY_CUSTOM_WORKER_POOL": "tests.support.own_pool:AsyncIOPool"},
        expected=(Expected(VICTIM, ("busy",)),),
        allowed=LATE,
        holds=6.0,
    ),
    Case(
        "limited",
        "the prefetch full of tasks with a rate limit",
        faults.fill_slots("limited", slots=40),
        expected=(Expected(VICTIM, ("busy",)),),
        allowed=RESTARTED,
        holds=6.0,
        heal=faults.purge_and_restart,
    ),
    Case(
        "half",
        "half of the prefork children SIGSTOPped",
        faults.send_signal("SIGSTOP", children_only=True, half=True),
        slots=4,
        expected=(Expected(VICTIM, ("slots_stuck",), after=STALLED_AFTER),),
        holds=6.0,
        heal=faults.send_signal("SIGCONT", children_only=True),
    ),
    Case(
        "one-task",
        "one task for each prefork child",
        faults.nothing,
        env={"SHOP_TASKS_PER_CHILD": "1"},
        lasts=20.0,
    ),
    Case(
        "slow-link",
        "a link with a round trip of a fifth of an interval",
        faults.slow_link(0.2),
        pool="threads",
        allowed=LATE,
        lasts=10.0,
        heal=faults.reachable,
        proxied=True,
    ),
    Case(
        "late-packets",
        "one packet in ten takes 0.3 intervals longer",
        faults.late_packets(0.3, share=0.1),
        pool="threads",
        allowed=LATE,
        lasts=20.0,
        heal=faults.reachable,
        proxied=True,
    ),
    Case(
        "clock",
        "worker clock 10 min ahead",
        faults.nothing,
        env={"FAKETIME": "+600s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        lasts=10.0,
        in_tests=True,
    ),
    Case(
        "unmodified",
        "an unmodified worker joins a shared queue",
        faults.join_unmodified,
        queues=("shared",),
        lasts=10.0,
        silent_log="unmodified",
        in_tests=True,
    ),
    Case(
        "succeeded",
        "a worker of the same name starts before the old one ends",
        faults.succeed,
        # The goodbye of the old one, until the next beacon of the new one.
        allowed={VICTIM: ("retired",), OWN: ("resting",)},
        lasts=10.0,
    ),
    Case(
        "twins",
        "two workers under one name",
        faults.start_twin(),
        expected=(Expected(VICTIM, ("duplicate",), after=SIDE_BY_SIDE),),
        heal=faults.end_twin,
    ),
    Case(
        "twin-stopped",
        "two workers under one name, the children of one SIGSTOPped",
        faults.start_twin(children_stopped=True),
        # A worker is `starting` for three intervals; the other one has just started when its children are stopped.
        expected=(Expected(VICTIM, ("wedged",), within=4.0),),
        allowed={**LATE, VICTIM: ("duplicate",)},
        heal=faults.end_twin,
    ),
    Case(
        "redis-restarts",
        "Redis restarted three times in 20 s",
        faults.restart_redis(3, within_seconds=20),
        pool="gevent",
        alone=True,
        suspends=True,
    ),
    Case(
        "redis-emptied",
        "Redis restarted three times in 20 s, empty",
        faults.restart_redis(3, within_seconds=20, empty=True),
        pool="solo",
        alone=True,
        suspends=True,
    ),
    Case(
        "redis-frozen",
        "Redis frozen for 30 s",
        faults.freeze_redis(30),
        pool="gevent",
        alone=True,
        suspends=True,
    ),
    Case(
        "redis-frozen-killed",
        "worker SIGKILLed while Redis is frozen for 20 s",
        faults.freeze_redis_and_kill(20),
        expected=victim("lost", within=4.0),  # one more: whoever is there is to be heard of first
        allowed=RESTARTED,
        heal=faults.restart,
        alone=True,
    ),
    Case("monitor-away", "the monitor itself killed for 30 s", faults.be_away(30), alone=True, pool="gevent"),
    Case("monitor-stopped", "the monitor itself SIGSTOPped for 30 s", faults.stand_still(30), alone=True, pool="solo"),
    *(
        Case(
            f"{which}-{how}",
            f"{title}; broker and store are two",
            fault,
            pool="threads",
            alone=True,
            own_broker=True,
        )
        for which, called in (("broker", "broker"), ("store", "redis"))
        for how, title, fault in (
            (
                "restarts",
                f"{which} restarted three times in 20 s",
                faults.restart_redis(3, within_seconds=20, which=called),
            ),
            ("frozen", f"{which} frozen for 30 s", faults.freeze_redis(30, which=called)),
        )
    ),
)


def stage_queues(cases: tuple[Case, ...]) -> list[str]:
    """The queues that the monitor is told of; the others it learns from the workers."""
    return [f"{case.name}.own" for case in cases if case.name == "forgotten"]


__all__ = ["CASES", "OWN", "SHARED", "VICTIM", "Case", "Expected", "Stage", "stage_queues"]
