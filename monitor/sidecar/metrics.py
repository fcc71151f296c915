"""``/metrics`` of the Kafka probe: what it answered, and what it knows. The names are those it has always had."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric, UntypedMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from monitor.sidecar.verdict import SidecarVerdict, consumer_count, failures, hottest_value, skew_ratio

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Seconds. An answer is promised within a tenth of a second."""


class ProbeMetrics:
    """The numbers of one process, in a registry of its own. ``look`` gives the verdict at the moment."""

    def __init__(self, look: Callable[[], SidecarVerdict]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge for each counter, which nobody has asked for
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "health_probe_checks_total",
            "Answers given, by endpoint and by what they said.",
            ("endpoint", "status"),
            registry=self._registry,
        )
        self._failures = Counter(
            "health_probe_failures_total",
            "Answers of /ready that were not healthy, by what failed and why.",
            ("check_type", "reason"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "health_probe_duration_seconds",
            "Time to make an answer, by endpoint.",
            ("endpoint",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Known(look))

    def answered(self, endpoint: str, took_seconds: float, *, healthy: bool) -> None:
        """Count an answer."""
        self._answers.labels(endpoint, "healthy" if healthy else "unhealthy").inc()
        self._durations.labels(endpoint).observe(took_seconds)

    def failed(self, verdict: SidecarVerdict) -> None:
        """Count what made an answer of ``/ready`` unhealthy."""
        for check_type, reason in failures(verdict):
            self._failures.labels(check_type, reason).inc()

    def page(self, accept: str) -> tuple[bytes, str]:
        """The exposition and its content type, in the format that the scraper prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Known(Collector):
    """Gauges of what is known when they are asked for; those that are not known have no sample."""

    def __init__(self, look: Callable[[], SidecarVerdict]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        verdict = self._look()
        spoken = verdict.spoken
        yield GaugeMetricFamily(
            "health_probe_status", "1 while /ready says healthy, else 0.", value=1.0 if verdict.healthy else 0.0
        )
        yield _gauge(
            "health_probe_last_check_timestamp",
            "When the newest result was observed, in seconds since the Unix epoch.",
            spoken.state.result.observed_at if spoken and spoken.state else None,
        )
        yield _gauge(
            "health_probe_skew_ratio",
            "Hot-key skew as judged: the maximum over the window of max / mean of the partitions' lags.",
            skew_ratio(spoken),
        )
        yield _gauge(
            "health_probe_lag_seconds",
            "Age of the oldest record that waits in the hottest partition.",
            hottest_value(spoken, "lag_seconds"),
        )
        yield _gauge(
            "health_probe_retention_share",
            "Share of the records in the hottest partition that wait: at 1, the retention deletes them next.",
            hottest_value(spoken, "retention_share"),
        )
        consumers = consumer_count(spoken)
        # Without a type: a gauge must not end in _count, and it is called so by everybody's alerts.
        count = UntypedMetricFamily("health_probe_consumer_count", "Consumers as judged: the minimum over the window.")
        if consumers is not None:
            count.add_metric((), consumers)
        yield count


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric((), value)
    return family
