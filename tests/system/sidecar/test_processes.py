"""Real sidecars, watching a real Kafka: what they say, what they cost, and how they end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.policy.consumer_groups.codec import decode
from tests.integration.checks.kafka.test_prometheus_source import RULES, lines
from tests.support.kafka_server import KafkaServer
from tests.support.processes import alive, free_port, wait_for
from tests.support.prometheus_server import Exporter, StartPrometheus
from tests.support.redis_server import StartRedis
from tests.support.sidecars import PROBE, clean
from tests.system.sidecar.conftest import StartSidecar

PARTITIONS = 6
QUICK = {
    "MONITOR_CHECKS__KAFKA__INTERVAL": "2s",
    "MONITOR_CHECKS__KAFKA__TIMEOUT": "1.9s",
    "MONITOR_REFRESH_INTERVAL": "0.1",
    "WINDOW_MINUTES": "0.1",
    "MIN_CONSUMERS": "0",
}
"""A window of six seconds, and no consumers needed."""


def group_on(server: KafkaServer) -> str:
    """A consumer group that has consumed all there is of a topic of its own, and has no members."""
    name = f"orders-{os.urandom(3).hex()}"
    server.create_topic(name, PARTITIONS)
    server.commit(name, {(name, partition): 0 for partition in range(PARTITIONS)})
    return name


def watching(server: KafkaServer, group: str) -> dict[str, str]:
    """The environment for that group."""
    return {"KAFKA_BROKERS": server.bootstrap, "KAFKA_GROUP": group}


def pss_bytes(pids: set[int]) -> int:
    """Memory of these processes, shared pages counted once."""
    return sum(psutil.Process(pid).memory_full_info().pss for pid in pids)


def test_by_its_old_name(kafka: KafkaServer, start_sidecar: StartSidecar) -> None:
    """`python -m monitor.health_probe`, and the old environment: a hot key is 500, with the contract's words."""
    group = group_on(kafka)
    sidecar = start_sidecar(module=PROBE, **watching(kafka, group), **QUICK)
    sidecar.wait_for("/ready", 200, status="ok")
    kafka.produce(group, 400, key=b"hot")
    body = sidecar.wait_for("/ready", 500, reason="skew")
    assert body["message"].startswith("Hot-key skew high: 6.00x (threshold: 4.0x, window: 6s)")
    assert body["checks"] == {
        "skew_ratio": {"value": 6.0, "threshold": 4.0, "healthy": False, "window": "6s", "aggregation": "max"},
        "consumer_count": {"value": 0, "min_required": 0, "healthy": True, "window": "6s", "aggregation": "min"},
    }
    assert sidecar.get("/status")[1]["overall_healthy"] is False
    assert sidecar.get("/health") == (200, {"status": "alive", "service": group})
    assert sidecar.get("/api/health/checks/kafka/")[1]["lag"] == 400


def test_memory_start_and_end(kafka: KafkaServer, start_sidecar: StartSidecar, tmp_path: Path) -> None:
    """It answers after its start, with at most 150 MB for everything below it; a signal ends all of it.

    Nothing is written without a data directory.
    """
    sidecar = start_sidecar(**watching(kafka, group_on(kafka)), **QUICK)
    sidecar.wait_until_it_answers()  # how soon is measured by `make bench`
    sidecar.wait_for("/ready", 200, status="ok")
    below = sidecar.below()
    megabytes = pss_bytes({sidecar.process.pid, *below}) / 1e6
    assert megabytes < 150
    sidecar.send(signal.SIGINT)
    assert sidecar.process.wait(timeout=30) == 0
    assert not alive(below)
    assert [path for path in tmp_path.rglob("*") if path != sidecar.log] == []
    assert [event["event"] for event in sidecar.events("sidecar.stopped")] == ["sidecar.stopped"]


def test_answers_while_the_broker_is_frozen(
    start_kafka: Callable[..., KafkaServer], start_sidecar: StartSidecar
) -> None:
    """Every endpoint answers at once whatever the broker does, says why, and recovers; the end does not wait either."""
    server = start_kafka()
    server.wait_for_coordinator()
    sidecar = start_sidecar(**watching(server, group_on(server)), **QUICK)
    sidecar.wait_for("/ready", 200, status="ok")
    server.freeze()
    slowest = 0.0

    def failed() -> dict[str, Any] | None:
        nonlocal slowest
        for path in ("/health", "/ready", "/status", "/metrics", "/readyz", "/api/health/ready/"):
            asked_at = time.monotonic()
            answer = sidecar.get(path)
            slowest = max(slowest, time.monotonic() - asked_at)
            if path == "/ready":
                status, body = answer
        return body if status == 500 else None

    body = wait_for(failed, seconds=60, what="the frozen broker is an error")
    assert body["reason"] == "timeout" and body["message"] == "Source failed: timeout"
    assert body["checks"]["skew_ratio"]["value"] is None
    assert slowest < 1.0  # 0.1 s is the promise, measured by `make bench`: this machine may be busy
    server.thaw()
    sidecar.wait_for("/ready", 200, status="ok")
    server.freeze()
    sidecar.wait_for("/ready", 500)
    below = sidecar.below()
    asked_at = time.monotonic()
    assert sidecar.end() == 0
    assert time.monotonic() - asked_at < 10
    assert not alive(below)


def test_killed_it_leaves_nothing(kafka: KafkaServer, start_sidecar: StartSidecar) -> None:
    """SIGKILL: the processes below notice that nobody is there any more."""
    sidecar = start_sidecar(**watching(kafka, group_on(kafka)), **QUICK)
    sidecar.wait_for("/ready", 200, status="ok")
    below = sidecar.below()
    assert below
    sidecar.send(signal.SIGKILL)
    wait_for(lambda: not alive(below), seconds=60, every=0.2, what="everything below it is gone")


def test_a_killed_check_process_is_replaced(kafka: KafkaServer, start_sidecar: StartSidecar) -> None:
    """Zygote and check process killed: the next run has others."""
    sidecar = start_sidecar(**watching(kafka, group_on(kafka)), **QUICK)
    sidecar.wait_for("/ready", 200, status="ok")
    before = sidecar.below()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(sidecar.below() - before) >= 2, seconds=30, every=0.1, what="there are others")
    sidecar.wait_for("/ready", 200, status="ok")


def test_a_data_directory_outlives_the_process(kafka: KafkaServer, start_sidecar: StartSidecar, tmp_path: Path) -> None:
    """Killed and started again, a sidecar goes on: the group is not new to it, and the last verdict is known."""
    group, data = group_on(kafka), tmp_path / "data"
    lasting = QUICK | {"MONITOR_CHECKS__KAFKA__VALID_FOR": "1h"}
    first = start_sidecar("--data-dir", str(data), **watching(kafka, group), **lasting)
    first.wait_for("/ready", 200, status="ok")
    first_at = first_seen(data, group)
    first.send(signal.SIGKILL)
    first.process.wait()
    nowhere = {**watching(kafka, group), "KAFKA_BROKERS": f"127.0.0.1:{free_port()}"}
    second = start_sidecar("--data-dir", str(data), **nowhere, **lasting)
    second.wait_until_it_answers()
    assert first_seen(data, group) == first_at
    assert second.wait_for("/ready", 500)["reason"] == "refused"
    [first_run, *_] = [*second.events("check.completed")]
    assert (first_run["was"], first_run["now"]) == ("ok", "error")


def first_seen(data: Path, group: str) -> float:
    """When a group was first seen, as the file has it."""
    kept = wait_for(lambda: read(data / "sidecar.json"), what="there is a file")
    return decode(kept["memories"]["kafka"], time.time()).groups[group].first_at


def read(file: Path) -> dict[str, Any]:
    """A JSON file; empty before it is there."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def test_what_is_in_the_serving_process(kafka: KafkaServer, tmp_path: Path) -> None:
    """Neither Django nor Celery nor a Kafka client: they are not needed to answer, and each is as large as the rest."""
    port = free_port()
    spy = f"""
import json, os, signal, sys, threading, time, urllib.request
def look():
    for _ in range(600):
        try:
            body = json.load(urllib.request.urlopen("http://127.0.0.1:{port}/ready", timeout=5))
            break
        except OSError:
            time.sleep(0.1)
    print(json.dumps([body, sorted(sys.modules)]), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=look, daemon=True).start()
from monitor.cli import main
sys.argv = ["monitor", "sidecar", "--host", "127.0.0.1", "--port", "{port}"]
main()
"""
    environ = clean({**watching(kafka, group_on(kafka)), **QUICK, "DJANGO_SETTINGS_MODULE": "of.the.consumer"})
    done = subprocess.run(
        [sys.executable, "-c", spy], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    body, modules = json.loads(done.stdout)
    assert body["healthy"] is True
    assert {"django", "celery", "kombu", "kafka", "billiard"} & set(modules) == set()
    assert "monitor.checks.kinds.kafka_group" in modules  # its options are checked before anything starts


def test_what_is_in_the_server_beside_the_roles(tmp_path: Path) -> None:
    """The same where the states are in Redis; nor does it know any check's code."""
    code = """
import sys
import monitor.sidecar.__main__ as server
server.Application(server.service())
print(*sys.modules)
"""
    environ = clean(
        {
            "CELERY_HEALTH_MONITOR_SIDECAR": "1",
            "KAFKA_GROUP": "orders",
            "KAFKA_BROKERS": "kafka:9092",
            "MONITOR_REDIS_URL": "redis://127.0.0.1:1",
        }
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert {
        "django",
        "celery",
        "kombu",
        "kafka",
        "monitor.checks",
        "monitor.wiring",
        "monitor.services.run_check",
    } & modules == set()


@pytest.mark.parametrize("hold_for", ["5m", "forever"])
def test_without_an_answer_from_prometheus(start_sidecar: StartSidecar, hold_for: str) -> None:
    """There is no verdict to hold: no data, which fails unless it is held for ever; the body says so either way."""
    forever = hold_for == "forever"
    address = f"http://127.0.0.1:{free_port()}"
    quick = {"PROM_TIMEOUT_MS": "200", "PROM_RETRIES": "0"}
    sidecar = start_sidecar(KAFKA_GROUP="orders", PROMETHEUS_URL=address, HOLD_FOR=hold_for, **quick)
    body = sidecar.wait_for("/ready", 200 if forever else 500, message="No data from the source (refused)")
    assert (body["healthy"], body.get("held"), body["status"]) == (forever, forever or None, "unknown")
    assert [check["value"] for check in body["checks"].values()] == [None, None]
    assert sidecar.get("/status")[1]["overall_healthy"] is False
    assert sidecar.get("/api/health/ready/")[0] == (200 if forever else 503)
    with urllib.request.urlopen(f"http://127.0.0.1:{sidecar.port}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert f"health_probe_status {float(forever)}\n" in metrics
    assert not re.search(r"^health_probe_(skew_ratio|consumer_count) ", metrics, re.MULTILINE)


def test_an_exporter_that_dies(
    exporter: Exporter, start_prometheus: StartPrometheus, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    """Prometheus answers for a while from its window. The numbers grow old meanwhile, and then they are none."""
    rules = tmp_path / "kafka.rules.yml"
    rules.write_text(RULES.read_text().replace("interval: 15s", "interval: 250ms"))
    exporter.text = lines("orders", [0] * PARTITIONS)
    address = start_prometheus(targets=[exporter.address], rules=[rules]).url
    sidecar = start_sidecar(PROMETHEUS_URL=address, KAFKA_GROUP="orders", **QUICK | {"MIN_CONSUMERS": "2"})
    body = sidecar.wait_for("/ready", 200, message="System healthy")
    assert (body["checks"]["consumer_count"]["value"], body.get("held")) == (2, None)
    exporter.text = ""
    body = sidecar.wait_for("/ready", 500, message="No data from the source (missing)")
    assert [check["value"] for check in body["checks"].values()] == [None, None]
    exporter.text = lines("orders", [0] * PARTITIONS)
    sidecar.wait_for("/ready", 200, message="System healthy")


def test_what_comes_over_the_wire(start_sidecar: StartSidecar) -> None:
    """Large bodies, nonsense and clients that never finish their request keep nobody from an answer."""
    sidecar = start_sidecar(KAFKA_GROUP="orders", PROMETHEUS_URL="http://127.0.0.1:1")
    sidecar.wait_until_it_answers()
    with contextlib.ExitStack() as stack:

        def send(text: bytes) -> socket.socket:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", sidecar.port), timeout=10))
            client.sendall(text)
            return client

        def first_line(text: bytes) -> bytes:
            return send(text).recv(65536).partition(b"\r\n")[0]

        for _ in range(100):
            send(b"GET /ready HTTP/1.1\r\nHost: slow")
        head = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert first_line(b"HEAD /health" + head + b"\r\n") == b"HTTP/1.1 200 OK"
        assert first_line(b"POST /ready" + head + b"Content-Length: 9999999\r\n\r\n").startswith(b"HTTP/1.1 413")
        assert first_line(b"POST /ready" + head + b"Content-Length: 2\r\n\r\nab").startswith(b"HTTP/1.1 405")
        assert first_line(b"what is this\r\n\r\n").startswith(b"HTTP/1.0 400")
        assert sidecar.get("/health")[0] == 200


def test_a_wrong_environment(tmp_path: Path) -> None:
    """Everything that is wrong at once, by the variables' names; nothing is started."""
    environ = clean({"KAFKA_GROUP": "orders", "SKEW_THRESHOLD": "abc", "MIN_CONSUMERS": "1.5", "PROM_RETRIES": "11"})
    for module in (("monitor", "sidecar"), PROBE):
        command = [sys.executable, "-m", *module]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "the configuration has 4 errors; nothing was started",
            "  SKEW_THRESHOLD = 'abc' (environment): should be a number of at least 1, such as 4.0 "
            "(max / mean of the lags)",
            "  MIN_CONSUMERS = '1.5' (environment): should be a whole number, such as 2",
            "  KAFKA_BROKERS: is required, unless PROMETHEUS_URL is set; list the brokers, such as "
            "kafka-1:9092,kafka-2:9092",
            "  checks.kafka.prometheus_retries = 11 (environment PROM_RETRIES): should be less than or equal to 10",
        ]


def test_nothing_that_could_fail(tmp_path: Path) -> None:
    """Without a check in the group `ready` it would be healthy for ever: it does not start."""
    environ = clean({"MONITOR_CHECKS__ORDERS__KIND": "tcp", "MONITOR_CHECKS__ORDERS__HOST": "kafka"})
    environ |= {"MONITOR_CHECKS__ORDERS__PORT": "9092"}
    command = [sys.executable, "-m", "monitor", "sidecar"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "groups.ready: has no checks" in done.stderr


def test_nothing_says_what_to_watch(start_sidecar: StartSidecar) -> None:
    """It takes the defaults that the probe has always had, and logs them in one line."""
    sidecar = start_sidecar()
    sidecar.wait_until_it_answers()
    assert sidecar.get("/health") == (200, {"status": "alive", "service": "crm-events-sse"})
    [event] = sidecar.events("sidecar.defaults_taken")
    assert (event["KAFKA_GROUP"], event["PROMETHEUS_URL"]) == ("crm-events-sse", "http://prometheus:9090")


def test_a_port_that_is_taken(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    """One sentence, and exit code 1."""
    environ = {"KAFKA_GROUP": "orders", "PROMETHEUS_URL": "http://127.0.0.1:1"}
    first = start_sidecar(**environ)
    first.wait_until_it_answers()
    command = [sys.executable, "-m", "monitor", "sidecar", "--host", "127.0.0.1", "--port", str(first.port)]
    done = subprocess.run(command, cwd=tmp_path, env=clean(environ), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {first.port} on 127.0.0.1 is already in use" in done.stderr


def test_with_redis_the_usual_roles_do_the_work(
    kafka: KafkaServer, start_redis: StartRedis, start_sidecar: StartSidecar
) -> None:
    """Worker and beat run the check, the server reads Redis; all are one tree, with keys of their own."""
    redis = start_redis()
    group = group_on(kafka)
    sidecar = start_sidecar(**watching(kafka, group), **QUICK, MONITOR_REDIS_URL=redis.url)
    body = sidecar.wait_for("/ready", 200, seconds=90, status="ok")
    assert (body["check"], body["message"]) == ("kafka", "System healthy")
    assert sidecar.get("/health")[1]["service"] == group
    tree = psutil.Process(sidecar.process.pid).children(recursive=True)
    commands = [" ".join(process.cmdline()) for process in tree]
    for role in ("-m monitor worker", "-m monitor beat", "-m monitor.sidecar 127.0.0.1"):
        assert any(role in command for command in commands), commands
    with redis.client() as client:
        keys = {key.decode() for key in client.keys("monitor:*")}
    assert keys and all(key.startswith(f"monitor:sidecar:{group}") for key in keys)
    below = sidecar.below()
    assert sidecar.end() == 0
    assert not alive(below)
