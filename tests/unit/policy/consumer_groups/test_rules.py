"""What each rule says of a group: where it begins to speak, and its neighbours where it is silent."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor.model.checks import Status
from monitor.policy.consumer_groups import rules
from monitor.policy.consumer_groups.limits import Limits, format_duration
from monitor.policy.consumer_groups.measurement import (
    CommitRewind,
    Measurement,
    RecordLoss,
    StuckPartition,
    WindowedValue,
)
from monitor.policy.consumer_groups.rules import RuleInput
from tests.support.builders.consumer_groups import tp

LIMITS = Limits(min_consumers=2, max_lag=1000, max_drain_eta_seconds=600)


def view(lasting: dict[str, float] | None = None, **measured: Any) -> RuleInput:
    return RuleInput(Measurement(**measured), lasting or {})


def stuck(*seconds: float, lag: int = 7) -> tuple[StuckPartition, ...]:
    return tuple(StuckPartition(tp(i), lag, each) for i, each in enumerate(seconds))


SKEWED = [
    ("above the threshold", view(skew=WindowedValue(1.0, 6.0, 5.2)), LIMITS, "5.20x (threshold: 4.0x, window: 5m)"),
    ("at the threshold", view(skew=WindowedValue(4.0, 4.0, 4.0)), LIMITS, None),
    ("above it, but not for long enough", view(skew=WindowedValue(6.0, 6.0, 1.0)), LIMITS, None),
    ("not known", view(skew=WindowedValue(6.0)), LIMITS, None),
    ("the rule is off", view(skew=WindowedValue(6.0, 6.0, 6.0)), Limits(skew_threshold=None), None),
    (
        "another window",
        view(skew=WindowedValue(6, 6, 6.0)),
        Limits(window_seconds=90),
        "(threshold: 4.0x, window: 90s)",
    ),
]
UNDER_REPLICATED = [
    (
        "one too few",
        view(consumers=WindowedValue(2, 1, 1)),
        LIMITS,
        "Under-replicated: 1 consumers (min: 2, window: 5m)",
    ),
    ("enough", view(consumers=WindowedValue(2, 2, 2)), LIMITS, None),
    ("too few, but not for long enough", view(consumers=WindowedValue(1, 1, 2)), LIMITS, None),
    ("not known", view(consumers=WindowedValue(0, 0, None)), LIMITS, None),
    ("nobody needs to be there", view(consumers=WindowedValue(0, 0, 0)), Limits(min_consumers=0), None),
]
GONE = {"memberless_seconds": 300.0, "silent_seconds": 310.0}
STOPPED = [
    ("nobody, no commit, lag", view(stuck=stuck(310, 305), **GONE), LIMITS, "(for: 5m, limit: 5m, lag: 14)"),
    ("nothing waits", view(**GONE), LIMITS, None),
    ("somebody was there", view(stuck=stuck(310), **{**GONE, "memberless_seconds": 299.9}), LIMITS, None),
    ("something was committed", view(stuck=stuck(310), **{**GONE, "silent_seconds": 10.0}), LIMITS, None),
]
STALLED = [
    (
        "one partition stands",
        view(stuck=stuck(312)),
        LIMITS,
        "1 partition without progress, such as orders[0] (lag: 7,",
    ),
    ("two stand", view(stuck=stuck(312, 300)), LIMITS, "2 partitions without progress"),
    ("all move", view(), LIMITS, None),
    ("nobody is there: that is stopped", view(stuck=stuck(310), **GONE), LIMITS, None),
]
UNOWNED = [
    (
        "for long enough",
        view({"unowned_partitions": 30.0}, unowned=2),
        LIMITS,
        "2 partitions without a consumer (for:",
    ),
    ("one", view({"unowned_partitions": 120.0}, unowned=1), LIMITS, "1 partition without a consumer (for: 2m)"),
    ("not for long enough", view({"unowned_partitions": 29.9}, unowned=2), LIMITS, None),
    ("since just now", view(unowned=2), LIMITS, None),
]
REBALANCING = [
    ("at most of them", view(rebalancing=0.51), LIMITS, "Rebalancing: at 51% of the observations (for: 5m)"),
    ("at half of them", view(rebalancing=0.5), LIMITS, None),
    ("never", view(), LIMITS, None),
]
LAGGING = [
    ("above the limit", view({"lag": 30.0}, lag=1001), LIMITS, "Lag high: 1001 messages (limit: 1000)"),
    ("for a moment", view({"lag": 10.0}, lag=1001), LIMITS, None),
    ("below it", view(lag=1000), LIMITS, None),
]
OLD = Limits(max_lag_age_seconds=600, max_retention_share=0.8)
AGED = [
    (
        "above the limit",
        view({"lag_age": 30.0}, lag_seconds=900.4, hottest="orders[3]"),
        OLD,
        "Lag old: a record in orders[3] has waited for 15m (limit: 10m)",
    ),
    ("for a moment", view({"lag_age": 10.0}, lag_seconds=900.0), OLD, None),
    ("not known", view({"lag_age": 30.0}), OLD, None),
    ("the rule is off", view({"lag_age": 30.0}, lag_seconds=900.0), LIMITS, None),
]
NEAR_DELETION = [
    (
        "above the limit",
        view({"retention_share": 30.0}, retention_share=0.86, hottest="orders[3]"),
        OLD,
        "Lag near the retention: 86% of orders[3] waits (limit: 80%)",
    ),
    ("for a moment", view({"retention_share": 10.0}, retention_share=0.86), OLD, None),
    ("not known", view({"retention_share": 30.0}), OLD, None),
    ("the rule is off", view({"retention_share": 30.0}, retention_share=0.86), LIMITS, None),
]
DRAINING = [
    ("too slowly", view({"drain_eta": 30.0}, drain_eta_seconds=900.4), LIMITS, "Drain time high: 15m (limit: 10m)"),
    ("for a moment", view({"drain_eta": 10.0}, drain_eta_seconds=900.0), LIMITS, None),
    ("not known: nothing is consumed", view(lag=5), LIMITS, None),
]
REWOUND = [
    (
        "lately",
        view(rewind=CommitRewind(tp(3), 400, 40.0)),
        LIMITS,
        "orders[3] went back by 400 messages (40s ago,",
    ),
    ("never", view(), LIMITS, None),
]
LOST = [
    (
        "lately",
        view(loss=RecordLoss(tp(3), 15, 40.0)),
        LIMITS,
        "Records lost: orders[3] lost 15 messages to retention (40s ago, window: 5m)",
    ),
    ("never", view(), LIMITS, None),
]
UNMATCHED = [
    (
        "a misspelt topic",
        view({"unknown_topic": 0.0}, unmatched=("ordres", "refnds-*")),
        LIMITS,
        "Unknown topic: nothing that is consumed matches ordres, refnds-*",
    ),
    ("all are right", view(), LIMITS, None),
]

TABLES = [
    (rules.skewed, "skew", SKEWED),
    (rules.under_replicated, "under_replicated", UNDER_REPLICATED),
    (rules.stopped, "stopped", STOPPED),
    (rules.stalled, "stalled", STALLED),
    (rules.unowned, "unowned_partitions", UNOWNED),
    (rules.rebalancing, "rebalancing", REBALANCING),
    (rules.lagging, "lag", LAGGING),
    (rules.lag_too_old, "lag_age", AGED),
    (rules.near_deletion, "retention_share", NEAR_DELETION),
    (rules.draining_slowly, "drain_eta", DRAINING),
    (rules.rewound, "rewound", REWOUND),
    (rules.records_lost, "records_lost", LOST),
    (rules.unknown_topic, "unknown_topic", UNMATCHED),
]
ROWS = [(rule, reason, *row) for rule, reason, rows in TABLES for row in rows]


@pytest.mark.parametrize(
    ("rule", "reason", "caption", "seen", "limits", "says"), ROWS, ids=[f"{row[1]}: {row[2]}" for row in ROWS]
)
def test_rule(rule: Any, reason: str, caption: str, seen: RuleInput, limits: Limits, says: str | None) -> None:
    """It says something, with its reason, or nothing at all."""
    finding = rule(seen, limits)
    assert (finding.reason, says in finding.message) == (reason, True) if says else finding is None, caption


def test_every_rule_has_a_table() -> None:
    """And each table is of a rule that is asked."""
    assert tuple(rule for rule, _, _ in TABLES) == rules.RULES


def test_messages_of_the_contract() -> None:
    """To the letter: others read them."""
    skew = rules.skewed(view(skew=WindowedValue(5.2, 5.2, 5.2)), LIMITS)
    few = rules.under_replicated(view(consumers=WindowedValue(1, 1, 1)), LIMITS)
    assert skew and skew.message == "Hot-key skew high: 5.20x (threshold: 4.0x, window: 5m)"
    assert few and few.message == "Under-replicated: 1 consumers (min: 2, window: 5m)"


def test_what_no_restart_helps_is_a_warning() -> None:
    """That a group went back somebody may have wanted, and records that are lost stay so."""
    for finding in (
        rules.rewound(view(rewind=CommitRewind(tp(0), 1, 0.0)), LIMITS),
        rules.records_lost(view(loss=RecordLoss(tp(0), 2, 0.0)), LIMITS),
    ):
        assert finding and finding.status is Status.WARNING


@pytest.mark.parametrize(
    ("lag", "eta", "unowned", "holds"),
    [
        (1001, 601.0, 1, {"lag", "drain_eta", "unowned_partitions"}),
        (1000, 600.0, 0, set()),
        (None, None, 0, set()),
    ],
)
def test_conditions(lag: int | None, eta: float | None, unowned: int, holds: set[str]) -> None:
    """What has to last before it counts."""
    measured = Measurement(lag=lag, drain_eta_seconds=eta, unowned=unowned)
    assert rules.current_conditions(measured, LIMITS) == holds
    assert not rules.current_conditions(dataclasses.replace(measured, unowned=0), Limits())


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5m"), (90, "90s"), (3600, "1h"), (86_400, "1d"), (45.5, "45.5s"), (0, "0s")]
)
def test_durations(seconds: float, text: str) -> None:
    """In the largest unit that fits."""
    assert format_duration(seconds) == text
