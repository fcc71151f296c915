"""Reason codes of verdicts on consumer groups."""

from __future__ import annotations

from enum import StrEnum


class GroupReason(StrEnum):
    """Reason codes of verdicts. Their messages contain numbers and names, but no host names."""

    SKEW = "skew"
    UNDER_REPLICATED = "under_replicated"
    STOPPED = "stopped"
    STALLED = "stalled"
    UNOWNED_PARTITIONS = "unowned_partitions"
    REBALANCING = "rebalancing"
    LAG = "lag"
    LAG_AGE = "lag_age"
    RETENTION_SHARE = "retention_share"
    DRAIN_ETA = "drain_eta"
    REWOUND = "rewound"
    RECORDS_LOST = "records_lost"
    NO_DATA = "no_data"
    STARTING = "starting"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_TOPIC = "unknown_topic"
    GONE = "gone"


class GroupProblem(StrEnum):
    """Reason codes for a group that the cluster does not describe although it answers."""

    AUTHORIZATION = "authorization"
    COORDINATOR = "coordinator"
    SHARE_GROUP = "share_group"
    UNSUPPORTED = "unsupported"
    BROKER_ERROR = "broker_error"


MISSING = "missing"
"""Reason code for a Prometheus that answers but has no numbers of the group, or no recording rules."""
