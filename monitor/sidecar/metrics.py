"""Prometheus metrics of the sidecar: its responses and its current verdict. The names of metrics must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric, UntypedMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from monitor.sidecar.verdict import SidecarVerdict, consumer_count, failures, hottest_value, skew_ratio

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Buckets of the duration of a response, in seconds. A response should take at most 0.1 s."""


class ProbeMetrics:
    """Metrics of the sidecar's server, in a separate registry. ``read_verdict`` returns the current verdict."""

    def __init__(self, read_verdict: Callable[[], SidecarVerdict]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # otherwise each counter has an additional gauge
        self._registry = CollectorRegistry()
        self._responses = Counter(
            "health_probe_checks_total",
            "Number of responses, by endpoint and status.",
            ("endpoint", "status"),
            registry=self._registry,
        )
        self._failures = Counter(
            "health_probe_failures_total",
            "Number of failing checks in unhealthy responses of /ready, by check type and reason.",
            ("check_type", "reason"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "health_probe_duration_seconds",
            "Time to produce a response, by endpoint.",
            ("endpoint",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_VerdictGauges(read_verdict))

    def count_response(self, endpoint: str, took_seconds: float, *, healthy: bool) -> None:
        """Count a response."""
        self._responses.labels(endpoint, "healthy" if healthy else "unhealthy").inc()
        self._durations.labels(endpoint).observe(took_seconds)

    def count_failures(self, verdict: SidecarVerdict) -> None:
        """Count each failing check of a response of ``/ready``."""
        for check_type, reason in failures(verdict):
            self._failures.labels(check_type, reason).inc()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that the ``Accept`` header prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _VerdictGauges(Collector):
    """Gauges of the current verdict, which is read at each scrape. For an unknown number there is no sample."""

    def __init__(self, read_verdict: Callable[[], SidecarVerdict]) -> None:
        self._read_verdict = read_verdict

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        verdict = self._read_verdict()
        main_check = verdict.main_check
        yield GaugeMetricFamily(
            "health_probe_status", "1 while /ready is healthy, else 0.", value=1.0 if verdict.healthy else 0.0
        )
        yield _gauge(
            "health_probe_last_check_timestamp",
            "Time of the newest result, in seconds since the Unix epoch.",
            main_check.state.result.observed_at if main_check and main_check.state else None,
        )
        yield _gauge(
            "health_probe_skew_ratio",
            "Skew that is judged: the maximum over the window of max / mean of the partitions' lags.",
            skew_ratio(main_check),
        )
        yield _gauge(
            "health_probe_lag_seconds",
            "Age of the oldest waiting record in the partition with the most lag.",
            hottest_value(main_check, "lag_seconds"),
        )
        yield _gauge(
            "health_probe_retention_share",
            "Share of waiting records among the stored records, in the partition with the most lag.",
            hottest_value(main_check, "retention_share"),
        )
        consumers = consumer_count(main_check)
        # Untyped, because the name of a gauge must not end in _count, and existing alerts use this name.
        count = UntypedMetricFamily(
            "health_probe_consumer_count", "Number of consumers that is judged: the minimum over the window."
        )
        if consumers is not None:
            count.add_metric((), consumers)
        yield count


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric((), value)
    return family
