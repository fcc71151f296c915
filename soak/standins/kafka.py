"""Stands in for the image of apache/kafka: its environment names, over the jars from Maven. Run in the container."""

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

JAVA = ("java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "/opt/kafka/libs/*")
DATA = Path("/tmp/kraft-combined-logs")
PROPERTIES = Path("/tmp/server.properties")


def main() -> None:
    """``KAFKA_NODE_ID`` becomes ``node.id`` and so on; the data directory is formatted once; then the server."""
    given = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in os.environ.items()
        if name.startswith("KAFKA_")
    }
    told = {"log.dirs": str(DATA), "log.cleaner.dedupe.buffer.size": "4194304", **given}
    PROPERTIES.write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    if not (DATA / "meta.properties").exists():
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        tool = [*JAVA, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(PROPERTIES)]
        subprocess.run(tool, check=True)
    os.execvp(JAVA[0], [*JAVA, "kafka.Kafka", str(PROPERTIES)])


if __name__ == "__main__":
    main()
