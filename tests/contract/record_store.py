"""Record a store that real roles of this commit have written: ``python -m tests.contract.record_store``.

The file is kept: the stores of users are as old. So it is not written anew with the golden files; a later commit that
changes a format records a second file under another name. Needs Java and a Kafka (`make servers`). Takes three minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.contract import stores
from tests.contract.clock import ClockProxy
from tests.support.agents import AgentStore, AgentWorker
from tests.support.kafka_consumers import ConsumerProcess
from tests.support.kafka_server import KafkaServer
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import Monitor

STARTS_AT = 2_000_000_000.0 - 3700.0
"""2033-05-18, 02:31:40 UTC: the second half of an hour, so that the recording crosses the end of it."""

FILE = Path(__file__).parent / "golden" / "store-0.1.0.json.gz"

CONFIGURATION = """
[defaults]
interval = "1s"
[checks.database]
kind = "database"
groups = ["ready"]
[checks.redis]
kind = "redis"
groups = ["ready"]
[checks.celery]
kind = "celery"
groups = ["ready"]
[checks.cpu]
kind = "cpu"
[checks.memory]
kind = "memory"
[checks.disk]
kind = "disk"
[checks.orders]
kind = "python"
path = "tests.contract.user_checks:orders"
groups = ["ready"]
interval = "0.5s"
[checks.depot]
kind = "python"
path = "tests.contract.user_checks:failing"
failure_threshold = 3
retry_interval = "0.5s"
critical = false
[checks.kafka]
kind = "kafka_group"
brokers = ["{kafka}"]
consumer_groups = ["billing", "shipping*"]
max_lag = 5
window = "60s"
sustained = "2s"
[workers]
interval = "1s"
stuck_after = "1h"
[channels.log]
kind = "log"
reminder = "10m"
[channels.hook]
kind = "webhook"
url = "http://127.0.0.1:9/hook"
[channels.gone]
kind = "exec"
command = ["/no/such/program"]
[alerting]
sweep_interval = "2s"
"""


def main() -> None:
    """Run the roles, let things happen, and write what is in the store."""
    directory = Path(tempfile.mkdtemp(prefix="contract-"))
    said = directory / "orders"
    said.write_text("")
    server = RedisServer(binary=find_binary("valkey-server") or "valkey-server")
    clock = ClockProxy(server.port, STARTS_AT, runs=True)
    kafka = KafkaServer()
    kafka.create_topics({"bills": 2, "parcels": 3})
    kafka.produce("bills", 20, partition=0)
    kafka.produce("parcels", 30)
    env = {"MONITOR_REDIS_URL": clock.url, "CONTRACT_FILE": str(said), "TEST_REDIS_URL": clock.url}
    monitor = Monitor(directory, server, CONFIGURATION.replace("{kafka}", kafka.bootstrap), env)
    workers: list[AgentWorker] = []
    consumer = ConsumerProcess(kafka, "shipping-1", "parcels")
    kafka.commit("billing", {("bills", 0): 4, ("bills", 1): 0})
    with server.client() as client:
        agents = AgentStore(client)
        pulses = str(directory)

        def worker(node: str, *options: str) -> AgentWorker:
            env = {"CELERY_HEALTH_MONITOR_DIR": pulses}
            workers.append(AgentWorker(agents, *options, node=node, broker=clock.url, env=env))
            return workers[-1]

        try:
            monitor.worker()
            monitor.beat()
            monitor.web()
            worker("web-1@shop", "-Q", "celery,mail", "-c", "2").beacon()
            worker("gone@shop", "-Q", "reports", "-c", "1").beacon()
            leaving = worker("leaving@shop", "-Q", "exports", "-c", "1")
            leaving.beacon()
            monitor.run("silence", "depot", "--for", "2h", "--why", "known since noon").wait()
            _pause("samples of the first hour", 45)
            said.write_text("error")
            workers[1].kill()
            leaving.kill("SIGTERM")
            _pause("alerts", 25)
            clock.set(2_000_000_000.0 - 40.0)
            _pause("an hour is packed, states were stale", 20)
            said.write_text("")
            _pause("a resolution", 70)
            monitor.roles[0].kill("SIGTERM")  # the worker hands back its flights
            store = stores.dump(client)
        finally:
            print(monitor.logs()[-6000:] if sys.exc_info()[0] else "", flush=True)  # noqa: T201
            consumer.kill()
            monitor.stop()
            for each in workers:
                each.teardown()
            kafka.stop()
    stores.write(FILE, {"now": round(clock.now, 3), "configuration": CONFIGURATION, "store": store})
    server.stop()
    print(f"{len(store)} keys, {FILE.stat().st_size} bytes")  # noqa: T201


def _pause(what: str, seconds: float) -> None:
    print(f"{seconds} s: {what}", flush=True)  # noqa: T201
    time.sleep(seconds)


if __name__ == "__main__":
    main()
