"""Use cases of alerting: decide which notices to send, and deliver notices to their channels."""

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
"""The lease on a channel is the channel's timeout plus this time."""

FAILURES_BEFORE_CHANNEL_PAUSES = 1
"""Number of failed deliveries in a row that may be due to the notice. After one more, the channel is probably down.

Then no notice is sent to the channel during the backoff.
"""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """Result of one attempt to deliver a notice.

    ``event`` is ``delivered``, ``failed`` (the notice will be retried after ``retry_seconds``) or ``dead`` (the notice
    is now a dead letter). ``attempts`` counts all attempts for this notice.
    """

    event: str
    channel: str
    notice: Notice
    attempts: int
    reason: str | None = None
    retry_seconds: float | None = None


def decide(
    config: Config, *, store: StateStore, outbox: Outbox, also_due_alerts: bool = True
) -> list[tuple[str, Notice]]:
    """Decide which notices to send for the undecided transitions; return these notices with their channel names.

    With ``also_due_alerts``, also decide which notices to send for alerts without a new transition: a reminder may be
    due, or a silence may have ended. Several processes may call this at the same time: one of them decides, the others
    return no notices. Raises StoreUnavailable.
    """
    dependencies = Dependencies(config)
    token = uuid.uuid4().hex
    decided: list[tuple[str, Notice]] = []
    while pending := outbox.undecided(token, all_alerts=also_due_alerts):
        if not (pending.needs_decision or also_due_alerts):  # no new transitions
            break
        alerts, notices = _evaluate_all(pending, config, store, dependencies)
        # If there is nothing to write, it counts as decided. If another process has decided first, read again.
        if not (pending.needs_decision or alerts) or outbox.decide(pending, alerts, notices):
            decided += notices
            also_due_alerts = False
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

    While another process has the lease on the channel, this delivers no notice. If it raises StoreUnavailable just
    after a delivery, the notice will be delivered again, with the same id.
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
    """Move old notices for channels that are no longer configured to the dead letters; return the number of notices.

    A notice is old when it has waited for `ROLL_OUT_SECONDS`. Until then another process may still have a configuration
    with the channel. Raises StoreUnavailable.
    """
    return outbox.retire(configured_channels=config.channels, before=store.now() - ROLL_OUT_SECONDS)


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
    after_seconds = backoff_seconds(attempts, first_retry_seconds) * jitter
    pause_channel_seconds = 0.0
    if delivery.failures >= FAILURES_BEFORE_CHANNEL_PAUSES:
        pause_channel_seconds = backoff_seconds(delivery.failures, first_retry_seconds) * jitter
    if failure.retry_after_seconds is not None:
        pause_channel_seconds = max(pause_channel_seconds, min(failure.retry_after_seconds, retry_for_seconds))
        after_seconds = max(after_seconds, pause_channel_seconds)
    outbox.retry(
        delivery, after_seconds=after_seconds, pause_channel_seconds=pause_channel_seconds, reason=failure.reason
    )
    return DeliveryAttempt(
        "failed",
        delivery.channel,
        notice,
        attempts,
        failure.reason,
        round(max(after_seconds, pause_channel_seconds), 3),
    )


def _evaluate_all(
    pending: PendingDecisions, config: Config, store: StateStore, dependencies: Dependencies
) -> tuple[dict[str, Alert | None], list[tuple[str, Notice]]]:
    """Return the changed alerts by check (None for an alert to delete), and the notices with their channel names."""
    transitions: dict[str, list[Transition]] = {}
    for transition in pending.transitions:
        transitions.setdefault(transition.check, []).append(transition)
    if pending.may_be_incomplete:  # transitions may be missing
        snapshot = store.read()
        for transition in _lost_transitions(snapshot, pending.alerts, transitions):
            transitions.setdefault(transition.check, []).append(transition)
    else:
        snapshot = _read_states(transitions, pending, store, dependencies)
    changed: dict[str, Alert | None] = {}
    notices: list[tuple[str, Notice]] = []
    contexts = _Contexts(config, dependencies, pending, snapshot)
    for check in {**pending.alerts, **transitions}:
        alert = pending.alerts.get(check)
        for transition in transitions.get(check, ()):
            alert, new_notices = evaluate(alert, transition, contexts.of(_as_alert(transition)))
            notices += new_notices
        if alert is not None:
            alert, new_notices = evaluate(alert, None, contexts.of(alert))
            notices += new_notices
        if alert != pending.alerts.get(check):
            changed[check] = alert
    return changed, notices


def _read_states(
    transitions: Mapping[str, object], pending: PendingDecisions, store: StateStore, dependencies: Dependencies
) -> Snapshot:
    checks = {*transitions, *pending.alerts}
    dependency_names = {name for check in checks for name in dependencies.all_dependencies(check, stale=True)}
    return store.read(checks | dependency_names)


def _lost_transitions(
    snapshot: Snapshot, alerts: Mapping[str, Alert], transitions: Mapping[str, Sequence[Transition]]
) -> Iterable[Transition]:
    """Yield the last transition of each state if it is missing in the stream and in the alert.

    It is compared with the newest transition of the check in the stream. If the stream has none, it is compared with
    the alert of the check. A check that has neither has lost nothing if it is ok or was never judged.
    """
    for state in snapshot.states.values():
        alert, last = alerts.get(state.check), _last_transition(state)
        if transitions.get(state.check):
            newest_in_stream = transitions[state.check][-1]
            if newest_in_stream.id != last.id:
                yield replace(last, old=newest_in_stream.new)
        elif alert is not None:
            if alert.transition != last.id:
                yield replace(last, old=alert.status)
        elif last.new is not Status.OK and (last.new is not Status.UNKNOWN or state.is_judged):
            yield last


def _last_transition(state: State) -> Transition:
    """Return the last transition of a state. If the state is stale, this is the transition to ``stale``.

    A state does not store its previous status, so ``old`` is ``unknown``.
    """
    status, at, reason = state.status, state.since, state.result.reason
    if state.stale_since is not None:
        status, at, reason = Status.STALE, state.stale_since, Reason.STALE
    return Transition(state.check, state.sequence, Status.UNKNOWN, status, at, state.transition_run_id, reason)


def _as_alert(transition: Transition) -> Alert:
    """Return an alert with the values of a transition. It is not stored: it is only the argument of `_Contexts.of`."""
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

    def __init__(
        self, config: Config, dependencies: Dependencies, pending: PendingDecisions, snapshot: Snapshot
    ) -> None:
        self._config = config
        self._dependencies = dependencies
        self._silences = pending.silences
        self._snapshot = snapshot

    def of(self, alert: Alert) -> DecisionContext:
        """Return the context of the check of this alert."""
        config, snapshot = self._config, self._snapshot
        spec, state = config.checks.get(alert.check), snapshot.states.get(alert.check)
        labels = dict(spec.labels) if spec else {}
        # The state's last result belongs to the alert only if no other transition followed.
        result = state.result if state is not None and _last_transition(state).id == alert.transition else None
        return DecisionContext(
            now=snapshot.read_at,
            channels=channels_for(alert.check, labels, config.groups_of(alert.check), config.channels),
            configured=config.channels,
            flap_changes=config.alerting.flap_changes,
            flap_window_seconds=config.alerting.flap_window_seconds,
            hold=hold(
                alert, config=config, dependencies=self._dependencies, silences=self._silences, snapshot=snapshot
            ),
            message=scrub(result.message) if result and result.message else None,
            labels=labels,
            data=result.data if result else {},
            is_deleted=self._is_deleted(alert.check, state),
        )

    def _is_deleted(self, check: str, state: State | None) -> bool:
        """Return whether a check no longer exists: it is not configured, and has no state or only an expired result.

        A runtime check exists as long as it has a state, even if its result has expired.

        During a roll-out the configuration of another process may still contain the check. That process then runs the
        check, so its result does not expire.
        """
        if check in self._config.checks:
            return False
        if state is None:
            return True
        return not is_runtime_check(check) and self._snapshot.read_at > state.result.valid_until
