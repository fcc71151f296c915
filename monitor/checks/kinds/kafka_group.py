"""Check of Kafka consumer groups: skew, consumers, lag and progress."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from monitor.checks.base import CheckFailed, Kind
from monitor.checks.failures import io_timeout
from monitor.checks.kafka.connection import (
    IsolationLevel,
    KafkaConnection,
    SaslMechanism,
    SecurityProtocol,
    parse_api_version,
)
from monitor.checks.kafka.prometheus import MeasurementOptions, measure
from monitor.checks.kafka.reasons import REASONS, REPORTS
from monitor.checks.prometheus import BaseUrl, Prometheus, PrometheusEndpoint
from monitor.checks.registry import register
from monitor.checks.user_code import DottedPath
from monitor.config.headers import Headers
from monitor.config.units import CommaSeparated, HoldTime, Seconds
from monitor.lib.extras import install_command
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.policy.consumer_groups.codec import GroupMemories, decode
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.outcomes import GroupRound, WatchedGroups, held_outcome, is_pattern, judge_groups
from monitor.policy.consumer_groups.standstill import standing_partitions
from monitor.policy.states import GroupHold

PERMANENT_FAILURES = frozenset({"not_configured", "import", "bad_query"})
"""Reasons of failures that need a change of the configuration. No verdict is kept: it would hide them."""

Names = Annotated[tuple[str, ...], CommaSeparated]
Duration = Annotated[Seconds, Field(gt=0)]
OptionalText = Annotated[str | None, Field(min_length=1)]


@register("kafka_group")
@dataclass(frozen=True, kw_only=True)
class KafkaGroup(Kind):
    """Observe consumer groups of one Kafka cluster and judge their lag, skew, members and progress.

    If `consumer_groups` contains one name, the check is about that group. If it contains several names, or a pattern,
    each group is a child check `group:CHECK:GROUP`, and this check is the parent check with the worst status of its
    child checks. Rules, definitions and public data are described in [Kafka consumer groups](kafka.md).
    """

    consumer_groups: Annotated[
        Names, Field(min_length=1, description="names and patterns (`orders-*`) of the groups to watch")
    ]
    source: Annotated[
        Literal["kafka", "prometheus"],
        Field(description="source of the numbers: the brokers, or a Prometheus with this project's recording rules"),
    ] = "kafka"
    brokers: Annotated[
        Names,
        Field(description="host:port of some brokers of the cluster (default port: 9092); required for source kafka"),
    ] = ()
    topics: Annotated[
        Names,
        Field(description="names and patterns of the topics to watch; other topics are ignored. Default: all topics"),
    ] = ()
    prometheus_url: Annotated[
        BaseUrl | None,
        Field(description="base URL of Prometheus, which may contain user:password@; required for source prometheus"),
    ] = field(default=None, repr=False)
    prometheus_token: Annotated[
        SecretStr | None, Field(description="bearer token; takes precedence over the URL's credentials")
    ] = field(default=None, repr=False)
    prometheus_headers: Annotated[
        Headers,
        Field(description="additional request headers, such as X-Scope-OrgID; their values are treated as secrets"),
    ] = field(default_factory=dict, repr=False)
    prometheus_ca_file: Annotated[
        OptionalText,
        Field(description="path of a PEM file with CA certificates, which replace the system's CA certificates"),
    ] = None
    prometheus_timeout: Annotated[Duration, Field(description="time limit of one attempt, in seconds")] = 1.5
    prometheus_retries: Annotated[
        int, Field(ge=0, le=10, description="maximum number of further attempts after a temporary failure")
    ] = 2
    on_source_failure: Annotated[
        Literal["fail", "hold"] | None,
        Field(
            description="result if the source does not answer: `fail` makes the check an error, `hold` keeps the last "
            "verdict for `hold_for`. Default: `fail` for source kafka, `hold` for source prometheus"
        ),
    ] = None

    hold_for: Annotated[
        HoldTime | None,
        Field(
            description="with `hold`: maximum age of the numbers of a kept verdict, in seconds; default: `window`. If "
            "the numbers are older, or if there was no number yet, the check is unknown and fails. With `forever`, the "
            "maximum age is `window`, and the unknown check fails no probe"
        ),
    ] = None

    window: Annotated[
        Duration,
        Field(
            description="length of the window, in seconds: the check is an error while the window contains a sustained "
            "skew or a sustained number of consumers beyond its threshold"
        ),
    ] = 300.0
    sustained: Annotated[
        Annotated[Seconds, Field(ge=0)] | None,
        Field(
            description="time in seconds for which a value must stay beyond its threshold before the check reports it; "
            "at most `window`. With 0, one observation is enough. Default: a tenth of `window`, at most 30 s"
        ),
    ] = None
    skew_threshold: Annotated[
        float | None,
        Field(
            ge=1,
            description="threshold of the skew ratio (max / mean of the lag of a topic's partitions): the check is an "
            "error above it. None (JSON: null) turns the rule off",
        ),
    ] = 4.0
    skew_min_lag: Annotated[
        int, Field(ge=0, description="lag of a topic, in messages, below which its skew ratio is set to 1")
    ] = 100
    min_consumers: Annotated[
        int, Field(ge=0, description="minimum number of members of a group: the check is an error below it")
    ] = 1
    max_lag: Annotated[
        int | None,
        Field(ge=0, description="threshold of the lag of a group, in messages: the check is an error above it"),
    ] = None
    max_lag_age: Annotated[
        Duration | None,
        Field(
            description="threshold of the age of the oldest waiting record in the partition with the most lag, in "
            "seconds: the check is an error above it. Only for source kafka"
        ),
    ] = None
    max_retention_share: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="threshold of lag / (end - beginning) of the partition with the most lag: the check is an "
            "error above it. Only for source kafka",
        ),
    ] = None
    max_drain_eta: Annotated[
        Duration | None,
        Field(description="threshold of lag / consume rate, in seconds: the check is an error above it"),
    ] = None
    stalled_after: Annotated[
        Duration | None,
        Field(
            description="time in seconds: the check is an error if records wait in a partition and its committed "
            "offset has not moved for this time. Default: `window`"
        ),
    ] = None
    stalled_min_lag: Annotated[
        int,
        Field(
            ge=1,
            description="minimum number of records in a partition for the reasons `stalled`, `stopped` and "
            "`records_lost`. With 1, the marker at the end of a transaction counts as a record",
        ),
    ] = 2
    rebalancing_after: Annotated[
        Duration | None,
        Field(
            description="time in seconds, at most `window`: the check is an error if more than half of the "
            "observations within this time found a rebalance. Default: `window`"
        ),
    ] = None
    start_grace: Annotated[
        Annotated[Seconds, Field(ge=0)] | None,
        Field(
            description="time in seconds from the first observation of a group, in which missing members do not fail "
            "the check. Default: `window`"
        ),
    ] = None

    isolation_level: Annotated[
        IsolationLevel,
        Field(description="with `read_committed`, the records of open transactions do not count as lag"),
    ] = "read_uncommitted"
    api_version: Annotated[
        str | tuple[int, ...] | None,
        Field(description='version of the brokers, such as "0.9"; set it only for brokers older than 0.10'),
    ] = None
    security_protocol: Annotated[
        SecurityProtocol, Field(description="security protocol of the brokers' listener. `SSL` in the name means TLS")
    ] = "PLAINTEXT"
    tls_cafile: Annotated[
        OptionalText,
        Field(description="path of a PEM file with CA certificates, which replace the system's CA certificates"),
    ] = None
    tls_certfile: Annotated[
        OptionalText, Field(description="path of a PEM file with the client's certificate, for mutual TLS")
    ] = None
    tls_keyfile: Annotated[
        OptionalText,
        Field(description="path of a PEM file with the key; not needed if `tls_certfile` contains the key"),
    ] = None
    tls_password: Annotated[SecretStr | None, Field(description="password of the client's key")] = field(
        default=None, repr=False
    )
    tls_check_hostname: Annotated[
        bool, Field(description="whether a broker's certificate must match its host name")
    ] = True
    sasl_mechanism: Annotated[
        SaslMechanism | None, Field(description="SASL mechanism; required for SASL_PLAINTEXT and SASL_SSL")
    ] = None
    sasl_username: Annotated[OptionalText, Field(description="user name for PLAIN and SCRAM")] = None
    sasl_password: Annotated[SecretStr | None, Field(description="password for PLAIN and SCRAM")] = field(
        default=None, repr=False
    )
    sasl_token_provider: Annotated[
        DottedPath | None,
        Field(description="dotted path of a callable without arguments that returns a token, for OAUTHBEARER"),
    ] = None

    reports: ClassVar[Mapping[str, str]] = REPORTS
    reasons: ClassVar[Mapping[str, str]] = REASONS
    series: ClassVar[tuple[str, ...]] = (
        "lag",
        "lag_seconds",
        "retention_share",
        "skew_ratio",
        "consumers",
        "consume_rate",
        "produce_rate",
        "drain_eta_seconds",
    )
    example: ClassVar[Mapping[str, Any]] = {
        "brokers": ["127.0.0.1:9092"],
        "consumer_groups": ["orders", "billing-*"],
        "min_consumers": 2,
        "max_lag": 100000,
    }

    def __post_init__(self) -> None:
        if problems := [*self._source_problems(), *self._duration_problems()]:
            raise ValueError("; ".join(problems))

    def modules(self) -> tuple[str, ...]:
        """Return the module that imports kafka-python, which takes long. Prometheus as source does not need it."""
        return ("monitor.checks.kafka.cluster",) if self.source == "kafka" else ()

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
        """Observe all groups together, and judge each group with its memory.

        ``monitor check`` passes no past. Such a single run has no memory, so it uses 0 for ``sustained`` and
        ``start_grace``.
        """
        is_single_run = past == NO_PAST
        now, watched = round(time.time() if is_single_run else past.now, 1), self._watched_groups(is_single_run)
        memories = decode(past.memory, now)
        observe = self._observe_brokers if self.source == "kafka" else self._query_prometheus
        try:
            return observe(io_timeout(timeout_seconds), watched, memories, now)
        except CheckFailed as failure:
            if watched.hold and failure.reason not in PERMANENT_FAILURES:
                return held_outcome(watched, memories, now, failure.reason, failure.message)
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)

    def _observe_brokers(self, seconds: float, watched: WatchedGroups, memories: GroupMemories, now: float) -> Outcome:
        try:
            from monitor.checks.kafka.cluster import observe_cluster  # noqa: PLC0415  kafka-python is optional
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "kafka":
                raise
            raise CheckFailed("not_configured", f"kafka-python is not installed: {install_command('kafka')}") from error
        snapshot = observe_cluster(
            self._connection(parse_api_version(self.api_version)),
            groups=self.consumer_groups,
            topics=self.topics,
            timeout_seconds=seconds,
            isolation_level=self.isolation_level,
            remembered={name: tuple(memory.partitions) for name, memory in memories.groups.items()},
            find_read_offsets=lambda observation: standing_partitions(
                observation, memories.groups.get(observation.group), now, watched.limits
            ),
        )

        def add_observations(current: GroupRound) -> None:
            for observation in snapshot.groups.values():
                current.add_observation(
                    replace(observation, unmatched=snapshot.unmatched) if watched.single else observation
                )
            current.unmatched = snapshot.unmatched

        outcome = judge_groups(watched, memories, now, add_observations)
        data = {**outcome.data, "requests": sum(snapshot.requests.values())}
        if silent_count := len(snapshot.silent_brokers):
            note = f"{silent_count} broker{'s' if silent_count > 1 else ''} did not list groups"
            data["note"] = "; ".join(filter(None, (note, data.get("note"))))
            outcome = replace(outcome, detail={**outcome.detail, "silent_brokers": [*snapshot.silent_brokers]})
        return replace(outcome, data=data)

    def _query_prometheus(self, seconds: float, watched: WatchedGroups, memories: GroupMemories, now: float) -> Outcome:
        assert self.prometheus_url is not None  # noqa: S101  checked by __post_init__
        limits = watched.limits
        endpoint = PrometheusEndpoint(
            self.prometheus_url,
            token=self.prometheus_token,
            ca_file=self.prometheus_ca_file,
            timeout_seconds=self.prometheus_timeout,
            retries=self.prometheus_retries,
            headers=self.prometheus_headers,
        )
        options = MeasurementOptions(
            limits.window_seconds,
            limits.sustained_seconds,
            limits.skew_threshold,
            limits.min_consumers,
            self.topics,
            lag=limits.max_lag is not None,
            drain_eta=limits.max_drain_eta_seconds is not None,
        )
        with Prometheus(endpoint, seconds) as prometheus:
            measurements = {name: measure(prometheus, name, options) for name in self.consumer_groups}

        def add_measurements(current: GroupRound) -> None:
            current.unmatched = _common_to_all(measured.unmatched for measured in measurements.values())
            for name, measured in measurements.items():
                current.add_measurement(name, measured if watched.single else replace(measured, unmatched=()))

        return judge_groups(watched, memories, now, add_measurements)

    def _watched_groups(self, is_single_run: bool) -> WatchedGroups:
        limits = Limits(
            window_seconds=self.window,
            sustained_seconds=0.0 if is_single_run else _or_default(self.sustained, min(30.0, self.window / 10)),
            skew_threshold=self.skew_threshold,
            skew_min_lag=self.skew_min_lag,
            min_consumers=self.min_consumers,
            max_lag=self.max_lag,
            max_lag_age_seconds=self.max_lag_age,
            max_retention_share=self.max_retention_share,
            max_drain_eta_seconds=self.max_drain_eta,
            stalled_after_seconds=_or_default(self.stalled_after, self.window),
            stalled_min_lag=self.stalled_min_lag,
            rebalancing_after_seconds=_or_default(self.rebalancing_after, self.window),
            start_grace_seconds=0.0 if is_single_run else _or_default(self.start_grace, self.window),
        )
        return WatchedGroups(self.consumer_groups, limits, self._hold())

    def _hold(self) -> GroupHold | None:
        if (self.on_source_failure or ("fail" if self.source == "kafka" else "hold")) == "fail":
            return None
        hold_for = _or_default(self.hold_for, self.window)
        return GroupHold(self.window, forever=True) if hold_for == math.inf else GroupHold(hold_for)

    def _connection(self, api_version: tuple[int, ...] | None) -> KafkaConnection:
        return KafkaConnection(
            brokers=self.brokers,
            api_version=api_version,
            security_protocol=self.security_protocol,
            tls_cafile=self.tls_cafile,
            tls_certfile=self.tls_certfile,
            tls_keyfile=self.tls_keyfile,
            tls_password=self.tls_password,
            tls_check_hostname=self.tls_check_hostname,
            sasl_mechanism=self.sasl_mechanism,
            sasl_username=self.sasl_username,
            sasl_password=self.sasl_password,
            sasl_token_provider=self.sasl_token_provider,
        )

    def _source_problems(self) -> list[str]:
        if self.source == "kafka":
            return self._connection_problems()
        problems = [] if self.prometheus_url else ["source prometheus needs prometheus_url"]
        if self.max_lag_age is not None or self.max_retention_share is not None:
            problems.append("source prometheus does not support max_lag_age and max_retention_share")
        if patterns := [name for name in self.consumer_groups if is_pattern(name)]:
            problems.append(f"source prometheus needs names of groups, not patterns: {', '.join(patterns)}")
        return problems

    def _connection_problems(self) -> list[str]:
        problems, version = [], None
        try:
            version = parse_api_version(self.api_version)
        except ValueError as error:
            problems.append(str(error))
        try:
            self._connection(version)
        except ValueError as error:
            problems.append(str(error))
        return problems

    def _duration_problems(self) -> list[str]:
        problems = []
        if self.sustained is not None and self.sustained > self.window:
            problems.append("sustained must not be longer than the window")
        if self.rebalancing_after is not None and self.rebalancing_after > self.window:
            problems.append("rebalancing_after must not be longer than the window")
        return problems


def _common_to_all(tuples: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the items that all tuples contain, in the order of the first tuple."""
    first, *others = tuples
    return tuple(item for item in first if all(item in other for other in others))


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
