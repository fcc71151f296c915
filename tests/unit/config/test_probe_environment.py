"""The names that the probe has always been configured by: what they mean, who wins, and what is said of wrong ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from monitor.config import ConfigError, Loaded, load, probe_environment

GIVEN = {"KAFKA_GROUP": "orders", "KAFKA_BROKERS": "kafka-1:9092, kafka-2:9092"}


def loaded(file: Path | None = None, **environ: str) -> Loaded:
    """The configuration of a sidecar with this environment."""
    return load(file=file, environ={probe_environment.SIDECAR_VARIABLE: "1", **environ})


def problems(file: Path | None = None, **environ: str) -> list[str]:
    """What is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_nobody_else_reads_them() -> None:
    """They are common words in a consumer's environment: only a sidecar's processes take them for theirs."""
    config = load(environ=GIVEN | {"SKEW_THRESHOLD": "abc"}).config
    assert "kafka" not in config.checks and "database" in config.checks


def test_defaults() -> None:
    """Group and brokers are enough; the rest is what the contract says."""
    config = loaded(**GIVEN).config
    check = config.checks["kafka"]
    assert (list(config.checks), check.kind, check.groups) == (["kafka"], "kafka_group", ("ready",))
    assert check.options == {
        "source": "kafka",
        "consumer_groups": ["orders"],
        "brokers": ["kafka-1:9092", "kafka-2:9092"],
        "skew_threshold": 4.0,
        "min_consumers": 2,
        "window": 300.0,
        "prometheus_timeout": 1.5,
        "prometheus_retries": 2,
    }
    assert (config.sidecar.host, config.sidecar.port) == ("0.0.0.0", 9011)
    assert (config.groups["ready"].stale, config.workers.enabled) == ("fail", False)


def test_all_of_them() -> None:
    """Each name, in its own unit."""
    config = loaded(
        **GIVEN,
        KAFKA_TOPIC="orders,refunds",
        PROMETHEUS_URL="http://prometheus:9090",
        SKEW_THRESHOLD="2.5",
        MIN_CONSUMERS="0",
        WINDOW_MINUTES="0.5",
        PROM_TIMEOUT_MS="250",
        PROM_RETRIES="0",
        BIND_HOST="127.0.0.1",
    ).config
    assert config.checks["kafka"].options == {
        "source": "prometheus",
        "consumer_groups": ["orders"],
        "brokers": ["kafka-1:9092", "kafka-2:9092"],
        "topics": ["orders", "refunds"],
        "prometheus_url": "http://prometheus:9090",
        "skew_threshold": 2.5,
        "min_consumers": 0,
        "window": 30.0,
        "prometheus_timeout": 0.25,
        "prometheus_retries": 0,
    }
    assert config.sidecar.host == "127.0.0.1"
    assert config.groups["ready"].stale == "hold"
    assert config.groups["ready"].hold_for_seconds == 30.0


@pytest.mark.parametrize(("text", "seconds"), [("forever", math.inf), ("10m", 600.0), ("45", 45.0)])
def test_how_long_a_verdict_is_held(text: str, seconds: float) -> None:
    """By the check, whose source does not answer, and by the group, for which no results come: one name for both."""
    config = loaded(KAFKA_GROUP="orders", PROMETHEUS_URL="http://prometheus:9090", HOLD_FOR=text).config
    assert config.checks["kafka"].options["hold_for"] == text
    assert config.groups["ready"].hold_for_seconds == seconds


@pytest.mark.parametrize("text", ["0", "for ever", "-1"])
def test_a_hold_that_is_none(text: str) -> None:
    """With what would be right."""
    (said,) = problems(KAFKA_GROUP="orders", PROMETHEUS_URL="http://prometheus:9090", HOLD_FOR=text)
    assert said == f"HOLD_FOR = {text!r} (environment): should be a duration above 0, such as 10m, or forever"


def test_an_empty_variable_is_not_set() -> None:
    """As everywhere in our configuration: compose files pass on what is empty."""
    config = loaded(**GIVEN, PROMETHEUS_URL="", SKEW_THRESHOLD="", BIND_HOST="").config
    assert config.checks["kafka"].options["source"] == "kafka"
    assert (config.checks["kafka"].options["skew_threshold"], config.sidecar.host) == (4.0, "0.0.0.0")


def test_everything_else_wins(tmp_path: Path) -> None:
    """File and MONITOR_* are laid over these names, and the origin of each value is known."""
    file = tmp_path / "monitor.toml"
    file.write_text("[checks.kafka]\nskew_threshold = 3.0\nmin_consumers = 5\n[checks.cpu]\nkind = 'cpu'\n")
    found = loaded(
        file,
        **GIVEN,
        PROMETHEUS_URL="http://prometheus:9090",
        SKEW_THRESHOLD="2.0",
        BIND_HOST="127.0.0.1",
        MONITOR_CHECKS__KAFKA__SOURCE="kafka",
        MONITOR_CHECKS__KAFKA__MIN_CONSUMERS="7",
        MONITOR_SIDECAR__HOST="::1",
        MONITOR_SIDECAR__PORT="9999",
    )
    options = found.config.checks["kafka"].options
    assert (options["skew_threshold"], options["min_consumers"], options["source"]) == (3.0, "7", "kafka")
    assert (found.config.sidecar.host, found.config.sidecar.port) == ("::1", 9999)
    assert set(found.config.checks) == {"kafka", "cpu"}
    assert found.origin("checks.kafka.prometheus_url") == "environment PROMETHEUS_URL"
    assert found.origin("checks.kafka.window") == "default of the sidecar"


def test_everything_that_is_wrong_at_once() -> None:
    """Each with the variable, its value and what to write instead; passwords are masked."""
    assert problems(
        KAFKA_BROKERS="kafka://kafka:9092",
        PROMETHEUS_URL="ftp://me:hunter2@prometheus",
        SKEW_THRESHOLD="abc",
        MIN_CONSUMERS="-1",
        WINDOW_MINUTES="nan",
        PROM_TIMEOUT_MS="0",
        PROM_RETRIES="two",
    ) == [
        "KAFKA_BROKERS = 'kafka://kafka:9092' (environment): should list brokers as host:port, such as "
        "kafka-1:9092,kafka-2:9092",
        "PROMETHEUS_URL = 'ftp://***@prometheus' (environment): should be the URL of a Prometheus server, such as "
        "http://prometheus:9090",
        "SKEW_THRESHOLD = 'abc' (environment): should be a number of at least 1, such as 4.0 (max / mean of the lags)",
        "MIN_CONSUMERS = '-1' (environment): should be a whole number, such as 2",
        "WINDOW_MINUTES = 'nan' (environment): should be a number of minutes above 0, such as 5",
        "PROM_TIMEOUT_MS = '0' (environment): should be a number of milliseconds above 0, such as 1500",
        "PROM_RETRIES = 'two' (environment): should be a whole number, such as 2",
        "KAFKA_GROUP: is required; name the consumer group to watch (or configure checks in monitor.toml)",
    ]


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"KAFKA_TOPIC": "orders"}, ["KAFKA_GROUP", "KAFKA_BROKERS"]),
        ({"KAFKA_BROKERS": "kafka:9092"}, ["KAFKA_GROUP"]),
        ({"PROMETHEUS_URL": "http://prometheus:9090"}, ["KAFKA_GROUP"]),
        ({"KAFKA_GROUP": "orders"}, ["KAFKA_BROKERS"]),
    ],
)
def test_something_to_watch_is_missing(environ: dict[str, str], missing: list[str]) -> None:
    """Who says something says which group, and where to ask: each is named."""
    assert [problem.partition(":")[0] for problem in problems(**environ)] == missing


@pytest.mark.parametrize("environ", [{}, {"KAFKA_GROUP": "", "PROMETHEUS_URL": ""}, {"SKEW_THRESHOLD": "2.5"}])
def test_nothing_says_what_to_watch(environ: dict[str, str]) -> None:
    """Then it is what the probe has always watched by default, and each value says so."""
    found = loaded(**environ)
    options = found.config.checks["kafka"].options
    assert (options["consumer_groups"], options["source"]) == (["crm-events-sse"], "prometheus")
    assert options["prometheus_url"] == "http://prometheus:9090"
    assert options["skew_threshold"] == float(environ.get("SKEW_THRESHOLD", 4.0))
    assert (found.config.groups["ready"].stale, found.config.queue) == ("hold", "monitor:sidecar:crm-events-sse")
    for key in ("consumer_groups", "prometheus_url"):
        assert found.origin(f"checks.kafka.{key}") == probe_environment.OLDER_PROBE_LABEL


@pytest.mark.parametrize("of_environment", [False, True])
def test_checks_of_ones_own_are_no_nothing(tmp_path: Path, of_environment: bool) -> None:
    """No default is taken where any check is configured, in whatever way."""
    file = tmp_path / "monitor.toml"
    file.write_text("" if of_environment else "[checks.orders]\nkind = 'tcp'\n")
    environ = {"MONITOR_CHECKS__ORDERS__KIND": "tcp"} if of_environment else {}
    assert list(loaded(file, **environ).config.checks) == ["orders"]


def test_a_configuration_of_ones_own_needs_none_of_them(tmp_path: Path) -> None:
    """With checks in the file, what a consumer calls its brokers is none of our business."""
    file = tmp_path / "monitor.toml"
    file.write_text("[checks.orders]\nkind = 'kafka_group'\n")
    assert list(loaded(file, KAFKA_BROKERS="kafka:9092").config.checks) == ["orders"]
    assert list(loaded(MONITOR_CHECKS__ORDERS__KIND="tcp").config.checks) == ["orders"]


def test_two_groups_share_nothing_on_one_redis() -> None:
    """Each group has its own keys and its own queue, so that no sidecar takes another's tasks, or a monitor's."""
    orders, refunds = loaded(**GIVEN).config, loaded(**GIVEN | {"KAFKA_GROUP": "re funds*"}).config
    assert (orders.key_prefix, orders.queue) == ("monitor:sidecar:orders:", "monitor:sidecar:orders")
    assert (refunds.key_prefix, refunds.queue) == (
        "monitor:sidecar:re_funds_.6c6f56b9:",
        "monitor:sidecar:re_funds_.6c6f56b9",
    )
    assert loaded(**GIVEN, MONITOR_KEY_PREFIX="mine:").config.key_prefix == "mine:"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("col/lide", "col_lide", id="what is replaced"),
        pytest.param("größe", "grüße", id="letters beyond ASCII"),
        pytest.param("g" * 60 + "1", "g" * 60 + "2", id="what is cut"),
        pytest.param("a,b", "a_b", id="two groups, and one"),
        pytest.param("a/b", "a_b.0b0e4b2b", id="a name with something like a digest"),
    ],
)
def test_two_groups_of_similar_names_share_nothing(one: str, other: str) -> None:
    """What cannot stand in a key is replaced, and a digest keeps the difference."""
    configs = [loaded(**GIVEN | {"KAFKA_GROUP": group}).config for group in (one, other)]
    assert len({config.key_prefix for config in configs}) == len({config.queue for config in configs}) == 2
    assert all(len(config.key_prefix) <= 100 for config in configs)
