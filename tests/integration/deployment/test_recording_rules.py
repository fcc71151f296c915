"""The recording rules that are shipped: by Prometheus' own tool, and beside our own definitions."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from monitor.model.consumer_groups import GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups.lag import GroupLags, derive_lags
from tests.support.prometheus_server import (
    Exporter,
    PrometheusServer,
    StartPrometheus,
    exporter,
    find_promtool,
    start_prometheus,
)

__all__ = ["exporter", "start_prometheus"]

DIRECTORY = Path(__file__).parents[3] / "compose" / "prometheus"
RULES = DIRECTORY / "kafka.rules.yml"
MIN_LAG = 100


def promtool(*arguments: str) -> str:
    """What it says; fails when it finds fault."""
    command = [find_promtool(), *arguments]
    done = subprocess.run(command, check=False, cwd=DIRECTORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_no_fault() -> None:
    """In the rules and in the configuration beside them."""
    said = promtool("check", "rules", "--lint-fatal", RULES.name) + promtool("check", "config", "prometheus.yml")
    assert "9 rules found" in said


def test_promtool_runs_the_tests_of_the_rules() -> None:
    """Idle, even, a hot key, a spike, a stray record, two topics, no commits, retention, a rebalance, drain times."""
    assert "SUCCESS" in promtool("test", "rules", "kafka.rules.test.yml")


def test_the_rules_say_what_our_own_looks_say(
    exporter: Exporter, start_prometheus: StartPrometheus, tmp_path: Path
) -> None:
    """Forty groups with lags of all sorts: the same skew, the same lag, the same hottest partition."""
    groups = {f"group-{number}": some_group(random.Random(number)) for number in range(40)}
    exporter.text = exposition(groups)
    rules = tmp_path / "kafka.rules.yml"
    rules.write_text(RULES.read_text().replace("interval: 15s", "interval: 250ms"))
    server = start_prometheus(targets=[exporter.address], rules=[rules])
    server.wait_for_value("count(kafka:group_lag_sum)", len(groups))
    server.wait_for_value("count(count by (consumergroup) (kafka:group_skew_ratio))", len(groups))
    for group, partitions in groups.items():
        sight = GroupObservation(group, known=True, partitions=partitions)
        assert recorded(server, group) == told(derive_lags(sight, {}, MIN_LAG)), (group, partitions)


def recorded(server: PrometheusServer, group: str) -> tuple[float, float, float]:
    """The skew of the worst topic, the whole lag, the lag of the hottest partition."""
    of_group = f'{{consumergroup="{group}"}}'
    ((_, skew),) = server.query(f"max(kafka:group_skew_ratio{of_group})")
    ((_, lag),) = server.query(f"kafka:group_lag_sum{of_group}")
    hottest = server.query(f"kafka:group_hottest_partition{of_group}")
    return round(skew, 2), lag, hottest[0][1] if hottest else 0


def told(found: GroupLags) -> tuple[float | None, float, float]:
    hottest = found.partitions[found.hottest].lag if found.hottest else 0
    return found.skew, found.total, hottest or 0


def some_group(chance: random.Random) -> dict[TopicPartition, PartitionObservation]:
    """One to three topics of one to twelve partitions: idle, even, hot, hardly used, some uncommitted or overtaken."""
    partitions = {}
    for topic in ("orders", "returns", "mails")[: chance.randint(1, 3)]:
        most = chance.choice((0, 1, 20, 500, 5000))
        for number in range(chance.randint(1, 12)):
            beginning = chance.choice((0, 0, 1000))
            lag = chance.choice((0, 0, most, chance.randint(0, most)))
            committed = beginning + chance.randint(0, 50)
            overtaken = chance.random() < 0.1
            sight = PartitionObservation(
                committed + lag, committed, min(committed + lag, committed + 30) if overtaken else beginning
            )
            if number and chance.random() < 0.2:
                sight = PartitionObservation(sight.end, None, chance.choice((beginning, sight.end)))
            partitions[TopicPartition(topic, number)] = sight
    return partitions


def exposition(groups: dict[str, dict[TopicPartition, PartitionObservation]]) -> str:
    """As danielqsj/kafka_exporter has it; every group on a cluster of its own, for the topics are of the same name."""
    lines = []
    for group, partitions in groups.items():
        for at, sight in partitions.items():
            of_partition = f'cluster="{group}",topic="{at.topic}",partition="{at.partition}"'
            committed = -1 if sight.committed is None else sight.committed
            lag = -1 if sight.committed is None else (sight.end or 0) - committed
            lines += [
                f"kafka_topic_partition_current_offset{{{of_partition}}} {sight.end}",
                f"kafka_topic_partition_oldest_offset{{{of_partition}}} {sight.beginning}",
                f'kafka_consumergroup_current_offset{{consumergroup="{group}",{of_partition}}} {committed}',
                f'kafka_consumergroup_lag{{consumergroup="{group}",{of_partition}}} {lag}',
            ]
    return "\n".join(sorted(lines)) + "\n"
