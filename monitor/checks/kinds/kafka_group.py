"""Consumer groups of Kafka: skew, consumers, lag, progress."""

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
from monitor.checks.kafka.prometheus import GroupQuery, measure
from monitor.checks.kafka.reasons import REASONS, REPORTS
from monitor.checks.prometheus import BaseUrl, Prometheus, PrometheusEndpoint
from monitor.checks.registry import register
from monitor.checks.user_code import DottedPath
from monitor.config.headers import Headers
from monitor.config.units import CommaSeparated, HoldTime, Seconds
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.policy.consumer_groups.codec import GroupMemories, decode
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.outcomes import GroupRound, WatchedGroups, held, is_pattern, run
from monitor.policy.consumer_groups.standing import standing
from monitor.policy.states import GroupHold

INSTALL_HINT = "install celery-health-monitor[kafka]: the package kafka-python is not there"
PERMANENT_FAILURES = frozenset({"not_configured", "import", "bad_query"})
"""Failures that do not pass by themselves: to keep a verdict would hide them for ever."""

Names = Annotated[tuple[str, ...], CommaSeparated]
Duration = Annotated[Seconds, Field(gt=0)]
Text = Annotated[str | None, Field(min_length=1)]


@register("kafka_group")
@dataclass(frozen=True, kw_only=True)
class KafkaGroup(Kind):
    """Consumer groups of one Kafka cluster, judged by their lag and how it lies, their members and their progress.

    One name: the check is that group. Several, or patterns: each group becomes a check of its own, `group:CHECK:GROUP`,
    and this one says the worst of them. All are looked at together, with a handful of requests. Rules, definitions and
    what is public: `docs/kafka.md`.
    """

    consumer_groups: Annotated[
        Names, Field(min_length=1, description="names and patterns (`orders-*`) of the groups to watch")
    ]
    source: Annotated[
        Literal["kafka", "prometheus"], Field(description="who is asked: the brokers, or a Prometheus with our rules")
    ] = "kafka"
    brokers: Annotated[Names, Field(description="host:port of any brokers of the cluster; of source kafka")] = ()
    topics: Annotated[Names, Field(description="names and patterns of the topics that count; none: all")] = ()
    prometheus_url: Annotated[
        BaseUrl | None, Field(description="address of Prometheus, may hold user:password@; of source prometheus")
    ] = field(default=None, repr=False)
    prometheus_token: Annotated[SecretStr | None, Field(description="bearer token, instead of a user")] = field(
        default=None, repr=False
    )
    prometheus_headers: Annotated[
        Headers, Field(description="more request headers, such as X-Scope-OrgID; their values are taken for secrets")
    ] = field(default_factory=dict, repr=False)
    prometheus_ca_file: Annotated[Text, Field(description="CA certificates to trust instead of the system's")] = None
    prometheus_timeout: Annotated[Duration, Field(description="time limit of one attempt")] = 1.5
    prometheus_retries: Annotated[int, Field(ge=0, le=10, description="further attempts")] = 2
    on_source_failure: Annotated[
        Literal["fail", "hold"] | None,
        Field(description="without an answer: error, or the last verdict; by default fail for kafka, else hold"),
    ] = None

    hold_for: Annotated[
        HoldTime | None,
        Field(
            description="with hold: how old the numbers of a verdict may be, else the window. Then, and before the "
            "first number, the check is unknown and fails; with `forever` it is so after the window, and fails nothing"
        ),
    ] = None

    window: Annotated[Duration, Field(description="time over which the highest skew and fewest consumers count")] = (
        300.0
    )
    sustained: Annotated[
        Annotated[Seconds, Field(ge=0)] | None,
        Field(description="how long a value must be beyond its limit to count; else 30 s, or a tenth of the window"),
    ] = None
    skew_threshold: Annotated[float | None, Field(ge=1, description="max / mean of partition lag above: error")] = 4.0
    skew_min_lag: Annotated[int, Field(ge=0, description="a topic with less lag, in messages, is not skewed")] = 100
    min_consumers: Annotated[int, Field(ge=0, description="members of the group; fewer: error")] = 1
    max_lag: Annotated[int | None, Field(ge=0, description="lag of the group above it, in messages: error")] = None
    max_lag_age: Annotated[
        Duration | None,
        Field(description="age of the oldest record that waits in the hottest partition, above it: error"),
    ] = None
    max_retention_share: Annotated[
        float | None,
        Field(gt=0, le=1, description="lag / (end - beginning) of the hottest partition above it: error"),
    ] = None
    max_drain_eta: Annotated[Duration | None, Field(description="lag / consume rate above it: error")] = None
    stalled_after: Annotated[
        Duration | None,
        Field(description="a commit stands for so long, while records wait: error; else the window"),
    ] = None
    stalled_min_lag: Annotated[
        int, Field(ge=1, description="records that must wait for that: 1 may be the end of a transaction")
    ] = 2
    rebalancing_after: Annotated[
        Duration | None, Field(description="rebalancing most of such a time: error; at most the window, by default it")
    ] = None
    start_grace: Annotated[
        Annotated[Seconds, Field(ge=0)] | None,
        Field(description="time for members to come, from when the group is first seen; else the window"),
    ] = None

    isolation_level: Annotated[
        IsolationLevel, Field(description="read_committed: records of open transactions are no lag")
    ] = "read_uncommitted"
    api_version: Annotated[
        str | tuple[int, ...] | None, Field(description='version of brokers older than 0.10, as "0.9"; else they tell')
    ] = None
    security_protocol: Annotated[SecurityProtocol, Field(description="encryption and authentication")] = "PLAINTEXT"
    tls_cafile: Annotated[Text, Field(description="CA certificates to trust instead of the system's")] = None
    tls_certfile: Annotated[Text, Field(description="our certificate, for mutual TLS")] = None
    tls_keyfile: Annotated[Text, Field(description="its key")] = None
    tls_password: Annotated[SecretStr | None, Field(description="of the key")] = field(default=None, repr=False)
    tls_check_hostname: Annotated[bool, Field(description="whether certificates must be of the broker's host")] = True
    sasl_mechanism: Annotated[SaslMechanism | None, Field(description="how we say who we are")] = None
    sasl_username: Annotated[Text, Field(description="for PLAIN and SCRAM")] = None
    sasl_password: Annotated[SecretStr | None, Field(description="for PLAIN and SCRAM")] = field(
        default=None, repr=False
    )
    sasl_token_provider: Annotated[
        DottedPath | None, Field(description="dotted path of a callable that returns a token, for OAUTHBEARER")
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
        if wrong := [*self._wrong_source(), *self._wrong_times()]:
            raise ValueError("; ".join(wrong))

    def modules(self) -> tuple[str, ...]:
        """The brokers' client takes a while to import."""
        return ("monitor.checks.kafka.cluster",) if self.source == "kafka" else ()

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
        """Look at all groups together, and judge each with what is remembered of it.

        Outside of a schedule nothing is remembered, and nothing will be: what is seen now is all there is to judge.
        """
        once = past == NO_PAST
        now, wanted = round(time.time() if once else past.now, 1), self._wanted(once)
        book = decode(past.memory, now)
        ask = self._ask_brokers if self.source == "kafka" else self._ask_prometheus
        try:
            return ask(io_timeout(timeout_seconds), wanted, book, now)
        except CheckFailed as failure:
            if wanted.hold and failure.reason not in PERMANENT_FAILURES:
                return held(wanted, book, now, failure.reason, failure.message)
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)

    def _ask_brokers(self, seconds: float, wanted: WatchedGroups, book: GroupMemories, now: float) -> Outcome:
        try:
            from monitor.checks.kafka.cluster import observe_cluster  # noqa: PLC0415  what it needs is an extra
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "kafka":
                raise
            raise CheckFailed("not_configured", INSTALL_HINT) from error
        found = observe_cluster(
            self._connection(parse_api_version(self.api_version)),
            groups=self.consumer_groups,
            topics=self.topics,
            timeout_seconds=seconds,
            isolation_level=self.isolation_level,
            remembered={name: tuple(each.partitions) for name, each in book.groups.items()},
            standing=lambda sight: standing(sight, book.groups.get(sight.group), now, wanted.limits),
        )

        def tell(current: GroupRound) -> None:
            for sight in found.groups.values():
                current.look(replace(sight, unmatched=found.unmatched) if wanted.single else sight)
            current.unmatched = found.unmatched

        outcome = run(wanted, book, now, tell)
        data = {**outcome.data, "requests": sum(found.requests.values())}
        if silent := len(found.silent_brokers):
            told = f"{silent} broker{'s' if silent > 1 else ''} did not tell which groups there are"
            data["note"] = "; ".join(filter(None, (told, data.get("note"))))
            outcome = replace(outcome, detail={**outcome.detail, "silent_brokers": [*found.silent_brokers]})
        return replace(outcome, data=data)

    def _ask_prometheus(self, seconds: float, wanted: WatchedGroups, book: GroupMemories, now: float) -> Outcome:
        assert self.prometheus_url is not None  # noqa: S101  by __post_init__
        limits = wanted.limits
        server = PrometheusEndpoint(
            self.prometheus_url,
            token=self.prometheus_token,
            ca_file=self.prometheus_ca_file,
            timeout_seconds=self.prometheus_timeout,
            retries=self.prometheus_retries,
            headers=self.prometheus_headers,
        )
        question = GroupQuery(
            limits.window_seconds,
            limits.sustained_seconds,
            limits.skew_threshold,
            limits.min_consumers,
            self.topics,
            lag=limits.max_lag is not None,
            drain_eta=limits.max_drain_eta_seconds is not None,
        )
        with Prometheus(server, seconds) as prometheus:
            told = {name: measure(prometheus, name, question) for name in self.consumer_groups}

        def tell(current: GroupRound) -> None:
            current.unmatched = _common_to_all(measured.unmatched for measured in told.values())
            for name, measured in told.items():
                current.measure(name, measured if wanted.single else replace(measured, unmatched=()))

        return run(wanted, book, now, tell)

    def _wanted(self, once: bool) -> WatchedGroups:
        limits = Limits(
            window_seconds=self.window,
            sustained_seconds=0.0 if once else _value_or(self.sustained, min(30.0, self.window / 10)),
            skew_threshold=self.skew_threshold,
            skew_min_lag=self.skew_min_lag,
            min_consumers=self.min_consumers,
            max_lag=self.max_lag,
            max_lag_age_seconds=self.max_lag_age,
            max_retention_share=self.max_retention_share,
            max_drain_eta_seconds=self.max_drain_eta,
            stalled_after_seconds=_value_or(self.stalled_after, self.window),
            stalled_min_lag=self.stalled_min_lag,
            rebalancing_after_seconds=_value_or(self.rebalancing_after, self.window),
            start_grace_seconds=0.0 if once else _value_or(self.start_grace, self.window),
        )
        return WatchedGroups(self.consumer_groups, limits, self._hold())

    def _hold(self) -> GroupHold | None:
        if (self.on_source_failure or ("fail" if self.source == "kafka" else "hold")) == "fail":
            return None
        hold_for = _value_or(self.hold_for, self.window)
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

    def _wrong_source(self) -> list[str]:
        if self.source == "kafka":
            return self._wrong_connection()
        wrong = [] if self.prometheus_url else ["source prometheus needs prometheus_url"]
        if self.max_lag_age is not None or self.max_retention_share is not None:
            wrong.append("source prometheus does not tell max_lag_age and max_retention_share")
        if patterns := [name for name in self.consumer_groups if is_pattern(name)]:
            wrong.append(f"source prometheus needs names of groups, not patterns: {', '.join(patterns)}")
        return wrong

    def _wrong_connection(self) -> list[str]:
        wrong, version = [], None
        try:
            version = parse_api_version(self.api_version)
        except ValueError as error:
            wrong.append(str(error))
        try:
            self._connection(version)
        except ValueError as error:
            wrong.append(str(error))
        return wrong

    def _wrong_times(self) -> list[str]:
        wrong = []
        if self.sustained is not None and self.sustained > self.window:
            wrong.append("sustained must not be longer than the window")
        if self.rebalancing_after is not None and self.rebalancing_after > self.window:
            wrong.append("rebalancing_after must not be longer than the window")
        return wrong


def _common_to_all(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """What is in all of them, in the order of the first."""
    first, *others = several
    return tuple(each for each in first if all(each in other for other in others))


def _value_or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
