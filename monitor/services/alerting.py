"""Use cases of alerting: decide once about notices, and deliver them until they have been accepted."""

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
from monitor.policy.runtime_checks import is_runtime_check
from monitor.policy.suppression import Dependencies, hold
from monitor.ports.alerts import Delivery, Outbox, PendingDecisions
from monitor.ports.store import Send, StateStore

LEASE_MARGIN_SECONDS = 5.0
"""Time by which the lease on a channel exceeds the channel's timeout."""

SINGLE_NOTICE_FAILURES = 1
"""Up to this many failures in a row concern a single notice. More concern the channel and hold all its notices."""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """Result of one attempt to deliver a notice. ``event`` is ``delivered``, ``failed`` (to be retried) or ``dead``."""

    event: str
    channel: str
    notice: Notice
    attempts: int
    reason: str | None = None
    retry_seconds: float | None = None


def decide(config: Config, *, store: StateStore, outbox: Outbox, everything: bool = True) -> list[tuple[str, Notice]]:
    """Decide about all transitions without a decision; return the new notices, each with the name of its channel.

    With ``everything``, decide also about the passing of time for all other alerts, such as reminders. Every transition
    is decided once, however many processes decide at the same time. Return no notices while another process has the
    turn to decide. Raises StoreUnavailable.
    """
    dependencies = Dependencies(config)
    token = uuid.uuid4().hex
    decided: list[tuple[str, Notice]] = []
    while pending := outbox.undecided(token, everything=everything):
        if not (pending.moved or everything):
            break
        alerts, notices = _evaluate_all(pending, config, store, dependencies)
        if not (pending.moved or alerts) or outbox.decide(pending, alerts, notices):
            decided += notices
            everything = False
    return decided


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
    """Deliver the waiting notices of a channel until none is due, or until ``for_seconds`` have passed.

    Deliver none while another process holds the channel's lease. Raises StoreUnavailable; a notice that was delivered
    just before is then delivered again, with the same id.
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
    """Give up notices for channels that are not configured any more; return their number. Raises StoreUnavailable."""
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


def _evaluate_all(
    pending: PendingDecisions, config: Config, store: StateStore, dependencies: Dependencies
) -> tuple[dict[str, Alert | None], list[tuple[str, Notice]]]:
    transitions: dict[str, list[Transition]] = {}
    for transition in pending.transitions:
        transitions.setdefault(transition.check, []).append(transition)
    if pending.broken:
        snapshot = store.read()
        for transition in _reconciled(snapshot, pending.alerts, transitions):
            transitions.setdefault(transition.check, []).append(transition)
    else:
        snapshot = _read_states(transitions, pending, store, dependencies)
    changed: dict[str, Alert | None] = {}
    notices: list[tuple[str, Notice]] = []
    contexts = _Contexts(config, dependencies, pending, snapshot)
    for check in {**pending.alerts, **transitions}:
        alert = pending.alerts.get(check)
        for transition in transitions.get(check, ()):
            alert, some = evaluate(alert, transition, contexts.of(_alert_after(transition)))
            notices += some
        if alert is not None:
            alert, some = evaluate(alert, None, contexts.of(alert))
            notices += some
        if alert != pending.alerts.get(check):
            changed[check] = alert
    return changed, notices


def _read_states(
    transitions: Mapping[str, object], pending: PendingDecisions, store: StateStore, dependencies: Dependencies
) -> Snapshot:
    checks = {*transitions, *pending.alerts}
    ancestors = {parent for check in checks for parent in dependencies.ancestors(check, stale=True)}
    return store.read(checks | ancestors)


def _reconciled(
    snapshot: Snapshot, alerts: Mapping[str, Alert], transitions: Mapping[str, Sequence[Transition]]
) -> Iterable[Transition]:
    """Yield the last transitions of states that neither an alert nor the stream contains."""
    for state in snapshot.states.values():
        alert, made = alerts.get(state.check), _last_transition(state)
        if transitions.get(state.check):
            last = transitions[state.check][-1]
            if last.id != made.id:
                yield replace(made, old=last.new)
        elif alert is not None:
            if alert.transition != made.id:
                yield replace(made, old=alert.status)
        elif made.new is not Status.OK and (made.new is not Status.UNKNOWN or state.is_judged):
            yield made


def _last_transition(state: State) -> Transition:
    """Return the last transition of a state. Its old status is not known, so it is ``unknown``."""
    status, at, reason = state.status, state.since, state.result.reason
    if state.stale_since is not None:
        status, at, reason = Status.STALE, state.stale_since, Reason.STALE
    return Transition(state.check, state.sequence, Status.UNKNOWN, status, at, state.turned_by, reason)


def _alert_after(transition: Transition) -> Alert:
    return Alert(
        transition.check,
        transition.new,
        transition.old,
        transition.at,
        transition.sequence,
        run_id=transition.run_id,
    )


class _Contexts:
    """Decision contexts of checks, from the configuration, the silences and the states."""

    def __init__(self, config: Config, dependencies: Dependencies, pending: PendingDecisions, states: Snapshot) -> None:
        self._config = config
        self._dependencies = dependencies
        self._silences = pending.silences
        self._states = states

    def of(self, alert: Alert) -> DecisionContext:
        """Return the context of the check of this alert."""
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
            is_deleted=self._is_deleted(alert.check, state),
        )

    def _is_deleted(self, check: str, state: State | None) -> bool:
        """Return whether a check was forgotten, or is not configured any more.

        During a roll-out another configuration may still contain the check. Then its result does not expire.
        """
        if check in self._config.checks:
            return False
        if state is None:
            return True
        return not is_runtime_check(check) and self._states.read_at > state.result.valid_until
