"""The use cases of alerting: decide once whom to tell what; tell it until it is told. Speaks to ports only."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.config import ChannelSpec, Config, scrub
from monitor.model.alerts import Alert
from monitor.model.checks import Notice, Reason, Snapshot, State, Status, Transition
from monitor.policy.alerting import ROLL_OUT_SECONDS, DecisionContext, backoff_seconds, channels_for, evaluate
from monitor.policy.runtime_checks import is_dynamic
from monitor.policy.suppression import Dependencies, hold
from monitor.ports.alerts import Delivery, Outbox, PendingDecisions
from monitor.ports.store import Send, StateStore

LEASE_MARGIN_SECONDS = 5.0
SINGLE_NOTICE_FAILURES = 1
"""More failures in a row, with no success between, are the channel's and not a single notice's."""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """What became of one attempt to deliver. ``event`` is ``delivered``, ``failed`` (tried again) or ``dead``."""

    event: str
    channel: str
    notice: Notice
    attempts: int
    reason: str | None = None
    retry_seconds: float | None = None


def decide(config: Config, *, store: StateStore, outbox: Outbox, everything: bool = True) -> list[tuple[str, Notice]]:
    """Decide about everything that happened: what is to be told now, by channel. Nothing, while somebody else is at it.

    If ``everything``, decide also about what time has brought to all other alerts. Every transition is decided once,
    however many decide at the same time. Raises StoreUnavailable.
    """
    dependencies = Dependencies(config)
    token = uuid.uuid4().hex
    told: list[tuple[str, Notice]] = []
    while seen := outbox.undecided(token, everything=everything):
        if not (seen.moved or everything):
            break
        alerts, notices = _decision(seen, config, store, dependencies)
        if not (seen.moved or alerts) or outbox.decide(seen, alerts, notices):
            told += notices
            everything = False
    return told


def deliver(
    channel: ChannelSpec,
    send: Send,
    outbox: Outbox,
    *,
    retry_for_seconds: float,
    for_seconds: float,
    first_retry_seconds: float = 2.0,
    lease_margin_seconds: float = LEASE_MARGIN_SECONDS,
) -> Generator[DeliveryAttempt, None, None]:
    """Tell what waits for a channel, unless somebody else is at it; stop when nothing is due, or after ``for_seconds``.

    Raises StoreUnavailable: what was told a moment before is then told again, with the same id.
    """
    token = uuid.uuid4().hex
    ends_at = time.monotonic() + for_seconds
    lease_seconds = channel.timeout_seconds + lease_margin_seconds
    try:
        while delivery := outbox.take(channel.name, token, lease_seconds=lease_seconds):
            yield _attempt(delivery, send, outbox, retry_for_seconds, first_retry_seconds)
            if time.monotonic() >= ends_at:
                break
    finally:
        outbox.leave(channel.name, token)


def retire(config: Config, *, store: StateStore, outbox: Outbox) -> int:
    """Give up what waits for channels that no configuration has any more. Returns how many. Raises StoreUnavailable."""
    return outbox.retire(config.channels, before=store.now() - ROLL_OUT_SECONDS)


def _attempt(
    delivery: Delivery, send: Send, outbox: Outbox, retry_for_seconds: float, first_retry_seconds: float
) -> DeliveryAttempt:
    notice, attempts = delivery.notice, delivery.attempts + 1
    failure = send(notice)
    if failure is None:
        outbox.ack(delivery)
        return DeliveryAttempt("delivered", delivery.channel, notice, attempts)
    if failure.permanent or delivery.taken_at - notice.at > retry_for_seconds:
        outbox.bury(delivery, failure.reason)
        return DeliveryAttempt("dead", delivery.channel, notice, attempts, failure.reason)
    jitter = random.uniform(0.5, 1.5)  # noqa: S311  (spreads load, keeps no secret)
    after = backoff_seconds(attempts, first_retry_seconds) * jitter
    hold_seconds = 0.0
    if delivery.failures >= SINGLE_NOTICE_FAILURES:
        hold_seconds = backoff_seconds(delivery.failures, first_retry_seconds) * jitter
    if failure.retry_after_seconds is not None:
        hold_seconds = max(hold_seconds, min(failure.retry_after_seconds, retry_for_seconds))
        after = max(after, hold_seconds)
    outbox.retry(delivery, after_seconds=after, hold_seconds=hold_seconds, reason=failure.reason)
    return DeliveryAttempt(
        "failed", delivery.channel, notice, attempts, failure.reason, round(max(after, hold_seconds), 3)
    )


def _decision(
    seen: PendingDecisions, config: Config, store: StateStore, dependencies: Dependencies
) -> tuple[dict[str, Alert | None], list[tuple[str, Notice]]]:
    happened: dict[str, list[Transition]] = {}
    for transition in seen.transitions:
        happened.setdefault(transition.check, []).append(transition)
    if seen.broken:
        snapshot = store.read()
        for transition in _reconciled(snapshot, seen.alerts, happened):
            happened.setdefault(transition.check, []).append(transition)
    else:
        snapshot = _states(happened, seen, store, dependencies)
    changed: dict[str, Alert | None] = {}
    notices: list[tuple[str, Notice]] = []
    context = _Contexts(config, dependencies, seen, snapshot)
    for check in {**seen.alerts, **happened}:
        alert = seen.alerts.get(check)
        for transition in happened.get(check, ()):
            alert, some = evaluate(alert, transition, context.of(_after(transition)))
            notices += some
        if alert is not None:
            alert, some = evaluate(alert, None, context.of(alert))
            notices += some
        if alert != seen.alerts.get(check):
            changed[check] = alert
    return changed, notices


def _states(
    happened: Mapping[str, object], seen: PendingDecisions, store: StateStore, dependencies: Dependencies
) -> Snapshot:
    checks = {*happened, *seen.alerts}
    above = {parent for check in checks for parent in dependencies.ancestors(check, stale=True)}
    return store.read(checks | above)


def _reconciled(
    snapshot: Snapshot, alerts: Mapping[str, Alert], happened: Mapping[str, Sequence[Transition]]
) -> Iterable[Transition]:
    """Yield the transitions that the states have had and that neither an alert nor the stream knows."""
    for state in snapshot.states.values():
        alert, made = alerts.get(state.check), _last_transition(state)
        if happened.get(state.check):
            last = happened[state.check][-1]
            if last.id != made.id:
                yield replace(made, old=last.new)
        elif alert is not None:
            if alert.transition != made.id:
                yield replace(made, old=alert.status)
        elif made.new is not Status.OK and (made.new is not Status.UNKNOWN or state.is_judged):
            yield made


def _last_transition(state: State) -> Transition:
    """Return the state's last transition. What the status was before it is not known."""
    status, at, reason = state.status, state.since, state.result.reason
    if state.stale_since is not None:
        status, at, reason = Status.STALE, state.stale_since, Reason.STALE
    return Transition(state.check, state.sequence, Status.UNKNOWN, status, at, state.turned_by, reason)


def _after(made: Transition) -> Alert:
    return Alert(made.check, made.new, made.old, made.at, made.sequence, run_id=made.run_id)


class _Contexts:
    """What decisions about checks depend on."""

    def __init__(self, config: Config, dependencies: Dependencies, seen: PendingDecisions, states: Snapshot) -> None:
        self._config = config
        self._dependencies = dependencies
        self._silences = seen.silences
        self._states = states

    def of(self, alert: Alert) -> DecisionContext:
        """Of the check that this alert is about."""
        config, states = self._config, self._states
        spec, state = config.checks.get(alert.check), states.states.get(alert.check)
        labels = dict(spec.labels) if spec else {}
        newest = state.result if state is not None and _last_transition(state).id == alert.transition else None
        return DecisionContext(
            now=states.read_at,
            channels=channels_for(alert.check, labels, config.groups_of(alert.check), config.channels),
            configured=config.channels,
            flap_changes=config.alerting.flap_changes,
            flap_window_seconds=config.alerting.flap_window_seconds,
            hold=hold(alert, config=config, dependencies=self._dependencies, silences=self._silences, states=states),
            message=scrub(newest.message) if newest and newest.message else None,
            labels=labels,
            data=newest.data if newest else {},
            gone=self._is_gone(alert.check, state),
        )

    def _is_gone(self, check: str, state: State | None) -> bool:
        """Forgotten; or of a configuration that is no more (during a roll-out, one that still is keeps it fresh)."""
        if check in self._config.checks:
            return False
        if state is None:
            return True
        return not is_dynamic(check) and self._states.read_at > state.result.valid_until
