"""Entry point of ``python -m monitor.health_probe``, the earlier command of the Kafka consumer probe.

The command runs `monitor sidecar`, which reads environment variables such as ``KAFKA_GROUP``, ``KAFKA_BROKERS`` and
``PROMETHEUS_URL``.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the sidecar until SIGTERM or SIGINT, and exit."""
    from monitor.cli.commands import cli  # noqa: PLC0415 - keeps the import of this module cheap

    cli(["sidecar", *sys.argv[1:]], prog_name="monitor")


if __name__ == "__main__":
    main()
