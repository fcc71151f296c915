"""Reference texts of the data and the reasons of the kind `kafka_group`."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks import prometheus
from monitor.checks.user_code import IMPORT_REASONS
from monitor.policy.consumer_groups.outcomes import PROBLEMS
from monitor.policy.consumer_groups.reasons import MISSING, GroupReason

REPORTS: Mapping[str, str] = {
    "lag": "number of waiting messages: end - committed, of all partitions whose lag is known",
    "lag_seconds": "age of the oldest waiting record in the partition with the most lag, in seconds; only source kafka",
    "retention_share": "lag / (end - beginning) of the partition with the most lag: at 1, all remaining records wait, "
    "and retention deletes them next",
    "skew_ratio": "max / mean of the partitions' lag now, in the worst topic; 1 if the lag is too low "
    "or there is only one partition",
    "skew_ratio_max": "highest skew ratio that lasted `sustained` within the window; absent before one has lasted "
    "that long",
    "consumers": "number of members now",
    "consumers_min": "lowest number of members that lasted `sustained` within the window; absent before one has lasted "
    "that long",
    "partitions": "number of partitions that the group has committed in, is assigned or subscribes to",
    "unassigned_partitions": "number of these partitions that are assigned to no member",
    "consume_rate": "consumed messages per second over the window; absent before half of the window was observed",
    "produce_rate": "produced messages per second over the window; absent before half of the window was observed",
    "drain_eta_seconds": "lag / consume rate, in seconds; absent if nothing is consumed",
    "hottest_partition": "the partition with the most lag",
    "state": "state of the group, as the broker reports it",
    "findings": "reasons of all rules that apply; absent if there is none",
    "numbers_age_seconds": "age of the numbers when the check ran, in seconds, if they are kept or recorded",
    "note": "additional information that does not affect the status, or the reason why a verdict is kept",
    "window_seconds": "the option `window`, in seconds",
    "skew_threshold": "the option `skew_threshold`",
    "min_consumers": "the option `min_consumers`",
    "groups": "number of groups, if the check may have several",
    "failing": "number of failing groups",
    "requests": "number of requests sent to brokers",
}
REASONS: Mapping[str, str] = {
    GroupReason.SKEW: "the skew ratio was above `skew_threshold`: one partition has most of a topic's lag",
    GroupReason.UNDER_REPLICATED: "the group had fewer members than `min_consumers`",
    GroupReason.STOPPED: "records wait, and there was neither a member nor a commit for `stalled_after`",
    GroupReason.STALLED: "records wait in a partition, and its committed offset has not moved for `stalled_after`",
    GroupReason.UNOWNED_PARTITIONS: "some partitions of a topic are assigned to a member, and others to none",
    GroupReason.REBALANCING: "the group was rebalancing for most of `rebalancing_after`",
    GroupReason.LAG: "the lag was above `max_lag`",
    GroupReason.LAG_AGE: "the age of the oldest waiting record was above `max_lag_age`",
    GroupReason.RETENTION_SHARE: "the share of waiting records among all records of a partition was above "
    "`max_retention_share`",
    GroupReason.DRAIN_ETA: "the time to consume the lag was above `max_drain_eta`",
    GroupReason.REWOUND: "a committed offset went back within the window (a warning)",
    GroupReason.RECORDS_LOST: "retention deleted records that the group had not committed (a warning)",
    GroupReason.NO_DATA: "all numbers of the source are too old (unknown); see `on_source_failure` and `hold_for`",
    GroupReason.STARTING: "the group does not have enough members yet, within `start_grace` (unknown, fails nothing)",
    GroupReason.UNKNOWN_GROUP: "the cluster has no such group (unknown; fails nothing within `start_grace`)",
    GroupReason.UNKNOWN_TOPIC: "a name or pattern in `topics` matches no consumed topic (unknown; fails nothing within "
    "`start_grace`)",
    GroupReason.GONE: "a group that matched a pattern was deleted (a warning, for one window)",
    **PROBLEMS,
    MISSING: "Prometheus answers, but has no series of the group or lacks the recording rules",
    "not_configured": "kafka-python is not installed",
    "unsupported_version": "the brokers do not support any protocol version that kafka-python supports",
    **IMPORT_REASONS,
    **prometheus.REASONS,
    "authentication": "the brokers or Prometheus reject the credentials, or the SASL token cannot be obtained",
}
