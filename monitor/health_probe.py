"""``python -m monitor.health_probe``: the Kafka consumer probe as it has always been started.

``KAFKA_GROUP``, ``KAFKA_BROKERS``, ``PROMETHEUS_URL``, ... in the environment are all it needs: `monitor sidecar`
without a command line.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Watch and answer until SIGTERM or SIGINT. Ends the process."""
    from monitor.cli.commands import cli  # noqa: PLC0415 - importing this module costs nothing

    cli(["sidecar", *sys.argv[1:]], prog_name="monitor")


if __name__ == "__main__":
    main()
