"""The kind kafka_group: its options, and its runs where there is no answer. Real brokers: the integration tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.checks.base import Kind
from monitor.checks.registry import KINDS
from monitor.config.loading import load
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.policy.states import GroupHold
from tests.support.builders import NOW
from tests.support.processes import free_port


def group(**options: Any) -> Kind:
    return KINDS.build("kafka_group", {"brokers": "127.0.0.1:9092", "consumer_groups": "orders", **options})


def from_prometheus(**options: Any) -> Kind:
    given = {"consumer_groups": "orders", "source": "prometheus", "prometheus_url": f"http://127.0.0.1:{free_port()}"}
    return KINDS.build("kafka_group", {**given, "prometheus_retries": 0, **options})


WRONG = [
    ("no brokers", {"brokers": ""}, ["at least one host:port"]),
    ("a URL", {"brokers": "kafka://u:swordfish@h:1"}, ["without a scheme and without credentials"]),
    (
        "half of an authentication",
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "tls_keyfile": "k.pem"},
        ["tls_keyfile needs tls_certfile", "PLAIN needs sasl_username and sasl_password"],
    ),
    (
        "everything at once",
        {"brokers": "", "api_version": "new", "sustained": "10m", "rebalancing_after": "1h", "tls_cafile": "ca.pem"},
        [
            "at least one host:port",
            "api_version must be a version",
            "sustained must not be longer than the window",
            "rebalancing_after must not be longer than the window",
            "tls_* options need security_protocol",
        ],
    ),
    (
        "a Prometheus without address, for a pattern",
        {"source": "prometheus", "consumer_groups": "orders-*"},
        ["source prometheus needs prometheus_url", "needs names of groups, not patterns: orders-*"],
    ),
    ("no group", {"consumer_groups": ""}, ["at least 1 item"]),
    ("a threshold that everything passes", {"skew_threshold": 0.5}, ["greater than or equal to 1"]),
    ("a duration without end", {"window": "inf"}, ["duration"]),
    ("a verdict that is kept for no time", {"hold_for": 0}, ["greater than 0"]),
]


@pytest.mark.parametrize(("caption", "options", "texts"), WRONG, ids=[row[0] for row in WRONG])
def test_wrong_options(caption: str, options: dict[str, Any], texts: list[str]) -> None:
    """All that is wrong with them is said at once, without what may be a password."""
    with pytest.raises(ValidationError) as caught:
        group(**options)
    for text in texts:
        assert text in str(caught.value), caption
    assert "swordfish" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    """Passwords and the address of Prometheus, which may hold one."""
    kind = group(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="me",
        sasl_password="swordfish",
        tls_password="swordfish",
        prometheus_url="http://me:swordfish@prometheus:9090",
    )
    assert "swordfish" not in repr(kind)


TABLE = """
redis_url = "redis://127.0.0.1:1"
[checks.kafka]
kind = "kafka_group"
groups = ["ready"]
brokers = "a:9092, b:9092"
consumer_groups = "orders"
window = "10m"
stalled_after = "90s"
"""


def test_a_table_of_the_configuration(tmp_path: Path) -> None:
    """Durations have units, lists may be texts, and the groups of the check are another thing."""
    file = tmp_path / "monitor.toml"
    file.write_text(TABLE)
    config = load(file=file, environ={}).config
    assert config.checks["kafka"].groups == ("ready",)
    kind: Any = KINDS.build("kafka_group", config.checks["kafka"].options)
    assert kind.brokers == ("a:9092", "b:9092")
    assert (kind.window, kind.stalled_after) == (600.0, 90.0)


def test_what_is_not_given_follows_the_window() -> None:
    """A tenth of it is `sustained`, at most 30 s."""
    kind: Any = group(window=60)
    limits = kind._watched_groups(is_single_run=False).limits
    assert (limits.sustained_seconds, limits.stalled_after_seconds, limits.start_grace_seconds) == (6.0, 60.0, 60.0)
    kind = group(window=3600)
    assert kind._watched_groups(is_single_run=False).limits.sustained_seconds == 30.0


def test_a_broker_that_is_not_there() -> None:
    """An error with its reason, at once; what was remembered is left as it is."""
    kind = group(brokers=f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    outcome = kind.run(5.0, Past(NOW, "whatever"))
    assert (outcome.status, outcome.reason, outcome.memory) == (Status.ERROR, "refused", None)
    assert time.monotonic() - began < 4.0


def test_a_broker_that_is_not_there_keeps_the_verdict_where_that_is_wanted() -> None:
    """Before the first one there is no data, for each group that has a name; what the broker said is for the few."""
    kind = group(brokers=f"127.0.0.1:{free_port()}", consumer_groups="orders,mail,x-*", on_source_failure="hold")
    first = kind.run(5.0, Past(NOW))
    assert (first.status, first.reason, first.held) == (Status.UNKNOWN, "no_data", False)
    assert {name: part.message for name, part in first.children.items() if part} == dict.fromkeys(
        ("orders", "mail"), "No data from the source (refused)"
    )


@pytest.mark.parametrize("hold_for", [None, "20s", "forever"])
def test_a_prometheus_that_was_never_there(hold_for: str | None) -> None:
    """No data, and no host in what is public. That fails, unless verdicts are held for ever."""
    outcome = from_prometheus(hold_for=hold_for).run(5.0, Past(NOW))
    assert (outcome.status, outcome.message) == (Status.UNKNOWN, "No data from the source (refused)")
    assert outcome.held == (hold_for == "forever")
    assert "127.0.0.1" not in str(outcome.data)
    assert "127.0.0.1" in outcome.detail["source"]


def test_how_long_a_verdict_is_kept() -> None:
    """The window by default; for ever means that later it fails nothing."""
    kept = [from_prometheus(window=60, hold_for=hold_for)._hold() for hold_for in (None, "90s", "forever")]  # type: ignore[attr-defined]
    assert kept == [GroupHold(60.0), GroupHold(90.0), GroupHold(60.0, forever=True)]
    assert group()._hold() is None  # type: ignore[attr-defined]


def test_a_prometheus_that_is_not_there_fails_where_that_is_wanted() -> None:
    """With the reason."""
    outcome = from_prometheus(on_source_failure="fail").run(5.0, Past(NOW))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "refused")


def test_a_run_outside_of_any_schedule() -> None:
    """`monitor check`: nothing has to last, and nothing is too early."""
    kind: Any = group()
    limits = kind._watched_groups(is_single_run=True).limits
    assert (limits.sustained_seconds, limits.start_grace_seconds) == (0.0, 0.0)
    outcome: Outcome = group(brokers=f"127.0.0.1:{free_port()}").run(5.0, NO_PAST)
    assert outcome.reason == "refused"


WITHOUT_KAFKA = """
import sys
sys.modules["kafka"] = None
from monitor.checks.registry import KINDS
from monitor.model.checks import Past
for source in ({"brokers": "127.0.0.1:1"}, {"brokers": "127.0.0.1:1", "on_source_failure": "hold"}):
    outcome = KINDS.build("kafka_group", {"consumer_groups": "g", **source}).run(2.0, Past(1.0))
    print(outcome.status, outcome.reason, outcome.message)
"""


def test_without_kafka_python() -> None:
    """The configuration loads; the check says what to install, and keeps no verdict over it."""
    command = [sys.executable, "-c", WITHOUT_KAFKA]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (
        done.stdout.splitlines()
        == ["error not_configured kafka-python is not installed: pip install 'celery-health-monitor[kafka]'"] * 2
    ), done.stderr
