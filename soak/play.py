"""Plays cases side by side on one stage, and says of each what was seen, when, and what should not have been said."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from soak.cases import OWN, RECOVERED_WITHIN, VICTIM, Case, Expected
from soak.stage import Stage
from soak.watch import Said
from tests.support.processes import missing, wait_for

CALM = {"worker": {"starting", "consuming", "busy"}, "queue": {"consumed"}}
START_SECONDS = 120.0
PATIENCE = 3.0
"""What is late is waited for this many times as long, so that its lateness can be told."""


@dataclass(frozen=True)
class Measured:
    """One verdict: when it was due and when it was seen, in seconds after the fault (or the recovery); None: never."""

    check: str
    verdict: str
    seconds: float | None
    limit_seconds: float

    @property
    def in_time(self) -> bool:
        """Whether it came in time."""
        return self.seconds is not None and self.seconds <= self.limit_seconds


@dataclass
class Outcome:
    """What came of a case."""

    case: Case
    interval: float
    slack_seconds: float = 0.0
    detected: list[Measured] = field(default_factory=list)
    recovered: list[Measured] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """All verdicts in time, none unexpected, all well again in time."""
        return not self.wrong()

    def wrong(self) -> list[str]:
        """What is wrong, in words."""
        late = [
            f"{what}: {m.check} {m.verdict} after {'ever' if m.seconds is None else f'{m.seconds:.1f} s'}, "
            f"not {m.limit_seconds:.1f} s"
            for what, several in (("detected", self.detected), ("recovered", self.recovered))
            for m in several
            if not m.in_time
        ]
        return late + self.unexpected + self.problems


def play(stage: Stage, cases: Sequence[Case], *, slack_seconds: float = 0.0) -> list[Outcome]:
    """Start the workers of all cases and their neighbours, wait until all is well, and play the cases at once.

    ``slack_seconds`` is added to each limit: what a busy machine may take for itself.
    """
    for case in cases:
        _start_victim(stage, case)
    shared = [f"{case.name}.shared" for case in cases]
    neighbours = [("prefork", 2), ("threads", 4)]
    for pool, slots in neighbours:
        stage.start_node(f"neighbour-{pool}", pool=pool, slots=slots, queues=shared)
    queues = [f"{case.name}.{queue}" for case in cases for queue in case.queues]
    unfed = {f"{case.name}.own" for case in cases if not case.fed}
    stage.feed(*(queue for queue in dict.fromkeys([*queues, *shared]) if queue not in unfed))
    calm = [(f"worker:{node.node}", "consuming") for node in stage.nodes.values()]
    calm += [(f"queue:{queue}", "consumed") for queue in dict.fromkeys([*queues, *shared])]
    stage.wait_for_verdicts(calm, seconds=START_SECONDS)
    start, end = stage.now(), {}
    together = threading.Barrier(len(cases))

    def play_one(case: Case) -> Outcome:
        outcome = Outcome(case, stage.interval, slack_seconds)
        together.wait()
        try:
            _play(stage, case, outcome)
        except BaseException as error:  # noqa: BLE001 - pytest's failures are none of Exception
            outcome.problems.append(f"{type(error).__name__}: {str(error)[:2000]}")
        end[case.name] = stage.now()
        return outcome

    with ThreadPoolExecutor(len(cases)) as threads:
        outcomes = list(threads.map(play_one, cases))
    _tell_unexpected(stage, outcomes, start)
    if not any(case.alone for case in cases):
        outcomes[0].problems += _tracebacks(stage)
    return outcomes


def _start_victim(stage: Stage, case: Case) -> None:
    env = dict(case.env)
    if "FAKETIME" in env:
        env["LD_PRELOAD"] = _faketime()
    queues = [f"{case.name}.{queue}" for queue in case.queues]
    name = f"{case.name}.victim"
    stage.start_node(name, pool=case.pool, slots=case.slots, queues=queues, proxied=case.proxied, env=env)


def _play(stage: Stage, case: Case, outcome: Outcome) -> None:
    dice = random.Random(case.name)
    _wait(stage, dice.random())  # at any moment between two rounds of the monitor
    began = stage.now()
    case.fault(stage, case.name)
    fault_at = began if not case.alarms else stage.now()
    outcome.detected = [_measure(stage, outcome, expected, fault_at) for expected in case.expected]
    if case.alarms:
        _wait(stage, case.holds)
        for expected in _last_of(case.expected):
            check = expected.check.format(case.name)
            if (now := stage.watcher.verdict(check)) not in expected.verdicts:
                outcome.problems.append(f"{check} did not stay {' or '.join(expected.verdicts)}: {now}")
    else:
        _wait(stage, case.lasts)
    _wait(stage, dice.random())
    healed_at = stage.now()
    for check in {expected.check.format(case.name) for expected in case.expected}:
        if (times := stage.watcher.alarms(check, start=began, end=healed_at)) > 1:
            outcome.problems.append(f"{check} made {times} alarms of one fault")
    if case.heal:
        case.heal(stage, case.name)
    if case.recovers:
        outcome.recovered = _measure_recovery(stage, outcome, healed_at)
    if case.silent_log:
        log = stage.nodes[f"{case.name}.{case.silent_log}"].logs()
        ours = [line for line in log.splitlines() if "monitor." in line or "nregistered" in line]
        outcome.problems += [f"logged: {line}" for line in ours[:3]]
    _wait(stage, 2)
    if case.suspends and not stage.watcher.during(began, stage.now(), lambda said: said.suspended):
        outcome.problems.append("verdicts were not suspended")
    if (summary := stage.watcher.now.get("workers")) and summary.suspended:
        outcome.problems.append("verdicts are still suspended")


def _measure(stage: Stage, outcome: Outcome, expected: Expected, fault_at: float) -> Measured:
    check = expected.check.format(outcome.case.name)
    limit = (expected.after + expected.within) * stage.interval + outcome.slack_seconds
    seen = _wait_until_seen(stage, check, expected.verdicts, fault_at, PATIENCE * limit)
    if seen is None:
        return Measured(check, " or ".join(expected.verdicts), None, limit)
    return Measured(check, seen[1], seen[0] - fault_at, limit)


def _measure_recovery(stage: Stage, outcome: Outcome, healed_at: float) -> list[Measured]:
    """From the first task of the user that the worker, or anybody from the queue, executed again."""
    case, measured = outcome.case, []
    limit = RECOVERED_WITHIN * stage.interval + outcome.slack_seconds
    wanted = {VICTIM: "consuming", OWN: "consumed"}
    checks = [VICTIM, *([OWN] if "own" in case.queues else [])]
    for check in checks:
        name = check.format(case.name)
        which = {"node": f"{case.name}.victim@soak"} if check == VICTIM else {"queue": f"{case.name}.own"}
        executed_at = wait_for(
            lambda which=which: stage.executed_since(healed_at, **which),
            seconds=90,
            every=0.2,
            what=f"a task executed again: {which}",
        )
        patience = PATIENCE * limit + executed_at - healed_at
        seen = _wait_until_seen(stage, name, (wanted[check],), healed_at, patience)
        seconds = None if seen is None else max(0.0, seen[0] - executed_at)
        measured.append(Measured(name, wanted[check], seconds, limit))
    return measured


def _wait_until_seen(
    stage: Stage, check: str, verdicts: Container[str], after: float, seconds: float
) -> tuple[float, str] | None:
    deadline = time.monotonic() + seconds
    while (seen := stage.watcher.first(check, verdicts, after=after)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def _wait(stage: Stage, intervals: float) -> None:
    """Let time pass: what is looked for is that nothing happens."""
    time.sleep(intervals * stage.interval)


def _last_of(expected: Sequence[Expected]) -> list[Expected]:
    return list({each.check: each for each in expected}.values())


def _tell_unexpected(stage: Stage, outcomes: Sequence[Outcome], start: float) -> None:
    """Give each outcome what was said of its workers and queues and should not have been; the first gets the rest."""
    fault_names = {o.case.name: o for o in outcomes}
    allowed = {
        (check.format(o.case.name), verdict)
        for o in outcomes
        for check, verdicts in (
            *((e.check, e.verdicts) for e in o.case.expected),
            *o.case.allowed.items(),
        )
        for verdict in verdicts
    }
    loud = any({*e.verdicts} - {"retired", "busy"} for o in outcomes for e in o.case.expected)

    def is_unexpected(said: Said) -> bool:
        kind = said.check.partition(":")[0]
        if (said.check, said.verdict) in allowed:
            return False
        if (said.check == "workers" and loud) or kind == "host":  # this machine may well be busy
            return False
        if kind in CALM:
            return said.verdict not in CALM[kind]
        return said.status != "ok"

    for said in stage.watcher.during(start, stage.now(), is_unexpected):
        case = said.check.partition(":")[2].split(".")[0]
        owner = fault_names.get(case, outcomes[0])
        text = f"unexpected: {said.check} {said.status} ({said.verdict}) {said.at - start:+.1f} s: {said.message}"
        owner.unexpected.append(text)


def _tracebacks(stage: Stage) -> list[str]:
    """What the monitor's roles, and ours in the user's workers, failed over."""
    logs = {role.name: role.logs() for role in stage.monitor.roles}
    found = [
        f"traceback in {name}: ...{log.split('Traceback', 1)[1][:1500]}"
        for name, log in logs.items()
        if "Traceback" in log
    ]
    for node in stage.nodes.values():
        found += [f"{node.node} logged: {line}" for line in node.logs().splitlines() if "monitor/agent" in line][:3]
    return found


def _faketime() -> str:
    places = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    found = next((str(path) for path in places), None)
    return found if found and shutil.which("faketime") else missing("faketime")
