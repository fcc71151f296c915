"""Reference texts for the data and the reasons of the kind `kafka_group`."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks import prometheus
from monitor.checks.user_code import IMPORT_REASONS
from monitor.policy.consumer_groups.outcomes import PROBLEMS
from monitor.policy.consumer_groups.reasons import MISSING, GroupReason

REPORTS: Mapping[str, str] = {
    "lag": "number of waiting messages: the sum of end - committed of all partitions whose lag is known",
    "lag_seconds": "age of the oldest waiting record in the partition with the most lag, in seconds; only source kafka",
    "retention_share": "lag / (end - beginning) of the partition with the most lag. At 1 all stored records wait, and "
    "retention deletes waiting records next. Only source kafka",
    "skew_ratio": "max / mean of the lag of a topic's partitions, now, in the topic with the highest ratio. 1 if the "
    "lag is below `skew_min_lag`, or if the topic has only one partition",
    "skew_ratio_max": "highest skew ratio that lasted `sustained` within the window; absent until a value has "
    "lasted that long",
    "consumers": "number of members now",
    "consumers_min": "lowest number of members that lasted `sustained` within the window; absent until a value has "
    "lasted that long",
    "partitions": "number of partitions in which the group has committed, or which are assigned to its members or "
    "belong to subscribed topics",
    "unassigned_partitions": "number of partitions, of those counted in `partitions`, that are assigned to no member",
    "consume_rate": "consumed messages per second over the window; absent before half of the window was observed",
    "produce_rate": "produced messages per second over the window; absent before half of the window was observed",
    "drain_eta_seconds": "lag / consume rate while records waited, in seconds; absent if nothing is consumed",
    "hottest_partition": "the partition with the most lag",
    "state": "state of the group, as the broker reports it",
    "findings": "reasons of all rules that found a problem; absent if there are none",
    "numbers_age_seconds": "age of the numbers when the check ran, in seconds; present if a verdict is kept, or if the "
    "numbers are from Prometheus",
    "note": "additional information that does not change the status, such as why a verdict is kept",
    "window_seconds": "the option `window`, in seconds",
    "skew_threshold": "the option `skew_threshold`",
    "min_consumers": "the option `min_consumers`",
    "groups": "number of groups; only if `consumer_groups` is not one name",
    "failing": "number of failing groups; only if `consumer_groups` is not one name",
    "requests": "number of requests sent to brokers",
}
REASONS: Mapping[str, str] = {
    GroupReason.SKEW: "the skew ratio was above `skew_threshold`: one partition has most of a topic's lag",
    GroupReason.UNDER_REPLICATED: "the number of members was below `min_consumers`",
    GroupReason.STOPPED: "records wait, and for `stalled_after` the group had no member and made no commit",
    GroupReason.STALLED: "records wait in a partition, and its committed offset has not moved for `stalled_after`",
    GroupReason.UNOWNED_PARTITIONS: "members own some partitions of a topic; its other partitions have no owner",
    GroupReason.REBALANCING: "more than half of the observations within `rebalancing_after` found a rebalance",
    GroupReason.LAG: "the lag was above `max_lag`",
    GroupReason.LAG_AGE: "the age of the oldest waiting record was above `max_lag_age`",
    GroupReason.RETENTION_SHARE: "the share of waiting records among the stored records of a partition was above "
    "`max_retention_share`",
    GroupReason.DRAIN_ETA: "lag / consume rate was above `max_drain_eta`",
    GroupReason.REWOUND: "a committed offset went back within the window (a warning)",
    GroupReason.RECORDS_LOST: "retention deleted records that the group had not committed (a warning)",
    GroupReason.NO_DATA: "the source has returned no numbers for longer than `hold_for` (unknown); see "
    "`on_source_failure`",
    GroupReason.STARTING: "within `start_grace`, the group does not have enough members yet (unknown; fails no probe)",
    GroupReason.UNKNOWN_GROUP: "the cluster has no such group (unknown; fails no probe within `start_grace`)",
    GroupReason.UNKNOWN_TOPIC: "a name or pattern in `topics` matches no consumed topic (unknown; fails no probe "
    "within `start_grace`)",
    GroupReason.GONE: "a group that matched a pattern was deleted (a warning for one window)",
    **PROBLEMS,
    MISSING: "Prometheus answers, but has no series of the group, or does not have the recording rules",
    "not_configured": "kafka-python is not installed",
    "unsupported_version": "the brokers do not support any protocol version that kafka-python supports",
    **IMPORT_REASONS,
    **prometheus.REASONS,
    "authentication": "the brokers or Prometheus reject the credentials, or the SASL token cannot be read",
}
