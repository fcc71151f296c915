"""The Prometheus that the tests run against does what the tests rely on."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.prometheus_server import Exporter, StartPrometheus, find_promtool

RULES = """
groups:
  - name: test
    rules:
      - record: test:lag_sum
        expr: sum by (consumergroup) (test_lag)
"""


def test_rules_are_evaluated_over_scraped_samples(
    start_prometheus: StartPrometheus, exporter: Exporter, tmp_path: Path
) -> None:
    """A recording rule follows the samples of the exporter within a second or two, also after a restart."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    exporter.text = 'test_lag{consumergroup="g",partition="0"} 3\ntest_lag{consumergroup="g",partition="1"} 4\n'
    server = start_prometheus(targets=[exporter.address], rules=[rules])
    server.wait_for_value('test:lag_sum{consumergroup="g"}', 7)
    exporter.text = 'test_lag{consumergroup="g",partition="0"} 1\ntest_lag{consumergroup="g",partition="1"} 2\n'
    server.kill()
    server.start()
    server.wait_for_value('test:lag_sum{consumergroup="g"}', 3)
    server.wait_for_value('max_over_time(test:lag_sum{consumergroup="g"}[5m])', 7)
    subprocess.run([find_promtool(), "check", "rules", str(rules)], check=True, capture_output=True)
