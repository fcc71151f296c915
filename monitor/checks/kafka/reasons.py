"""What the kind `kafka_group` reports, and its reasons: the words of its reference."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks import prometheus
from monitor.checks.user_code import IMPORT_REASONS
from monitor.policy.consumer_groups.outcomes import PROBLEMS
from monitor.policy.consumer_groups.reasons import MISSING, GroupReason

REPORTS: Mapping[str, str] = {
    "lag": "messages that wait: end - committed, of all partitions whose lag is known",
    "lag_seconds": "age of the oldest record that waits in the hottest partition; not with source prometheus",
    "retention_share": "lag / (end - beginning) of the hottest partition: at 1, the retention deletes what waits",
    "skew_ratio": "max / mean of partition lag now, in the worst topic; 1 where it does not count",
    "skew_ratio_max": "the highest for `sustained` seconds within the window; absent before there were as many",
    "consumers": "members of the group now",
    "consumers_min": "the fewest for `sustained` seconds within the window; absent before there were as many",
    "partitions": "partitions that the group has committed in, was given or subscribes to",
    "unassigned_partitions": "those of them that no member has",
    "consume_rate": "messages consumed per second, over the window; absent until half of it was seen",
    "produce_rate": "messages produced per second, likewise",
    "drain_eta_seconds": "lag / consume rate; absent when nothing is consumed",
    "hottest_partition": "the partition with the most lag",
    "state": "the group's state, in the broker's word",
    "findings": "reasons of all rules that found something, when there is one",
    "numbers_age_seconds": "age of the numbers when the check ran, where they are kept or recorded",
    "note": "what is said and does not count; why a verdict is kept",
    "window_seconds": "the window",
    "skew_threshold": "the option",
    "min_consumers": "the option",
    "groups": "groups, when there may be several",
    "failing": "those of them that fail",
    "requests": "requests sent to brokers",
}
REASONS: Mapping[str, str] = {
    GroupReason.SKEW: "one partition has most of a topic's lag",
    GroupReason.UNDER_REPLICATED: "fewer consumers than there must be",
    GroupReason.STOPPED: "records wait, and there was neither member nor commit for `stalled_after`",
    GroupReason.STALLED: "records wait, and a committed offset has not moved for `stalled_after`",
    GroupReason.UNOWNED_PARTITIONS: "partitions belong to no member, though there are some",
    GroupReason.REBALANCING: "the group does not stop rebalancing",
    GroupReason.LAG: "more messages wait than `max_lag`",
    GroupReason.LAG_AGE: "a record has waited for longer than `max_lag_age`",
    GroupReason.RETENTION_SHARE: "more of the records that are there wait than `max_retention_share`",
    GroupReason.DRAIN_ETA: "what waits takes longer than `max_drain_eta`",
    GroupReason.REWOUND: "a committed offset went back within the window (a warning)",
    GroupReason.RECORDS_LOST: "retention deleted records that the group had not committed (a warning)",
    GroupReason.NO_DATA: (
        "no number of the source is young enough to count (unknown); see `on_source_failure`, `hold_for`"
    ),
    GroupReason.STARTING: "within `start_grace`, and there are not enough members yet (unknown, fails nothing)",
    GroupReason.UNKNOWN_GROUP: "the cluster has no such group (unknown; fails nothing within `start_grace`)",
    GroupReason.UNKNOWN_TOPIC: (
        "`topics` has a name or pattern of nothing that is consumed (unknown, as `unknown_group`)"
    ),
    GroupReason.GONE: "a group that matched a pattern has been deleted (a warning, for one window)",
    **PROBLEMS,
    MISSING: "Prometheus answers, and does not know the group or the rules",
    "not_configured": "kafka-python is not installed",
    "unsupported_version": "the brokers speak no version that we do",
    **IMPORT_REASONS,
    **prometheus.REASONS,
}
