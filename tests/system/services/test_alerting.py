"""The monitor's own roles, as processes: from a check that fails to somebody who is told."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from typing import Any

from tests.support.alert_receiver import Receiver, receiving
from tests.support.celery_nodes import ROOT
from tests.support.processes import wait_for
from tests.support.roles import Monitor, StartMonitor


def roster(receiver: Receiver, **alerting: Any) -> str:
    """Two checks, whose statuses the test says; `shop` needs `base`. Everybody is told by a webhook."""
    settings = "".join(f"{key} = {json.dumps(value)}\n" for key, value in alerting.items())
    return f"""
[defaults]
interval = 0.5
[alerting]
{settings}
[workers]
enabled = false
[checks.base]
kind = "python"
path = "tests.support.user_checks:status"
arguments = {{ key = "base" }}
[checks.shop]
kind = "python"
path = "tests.support.user_checks:status"
arguments = {{ key = "shop" }}
depends_on = ["base"]
labels = {{ team = "shop" }}
[channels.ops]
kind = "webhook"
url = "{receiver.url}/hunter2"
checks = ["base", "shop"]
timeout = "5s"
"""


def say(monitor: Monitor, check: str, status: str) -> None:
    """What a check finds from now on."""
    with monitor.redis.client() as client:
        client.set(f"test:{check}", status)


def command(monitor: Monitor, *arguments: str) -> str:
    """What `monitor ARGUMENTS` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        cwd=ROOT,
        env={**os.environ, **monitor.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def wait_until_told(monitor: Monitor, receiver: Receiver, check: str, kinds: list[str], seconds: float = 30.0) -> None:
    """Wait until exactly this was told of a check."""
    wait_for(
        lambda: receiver.kinds(check) == kinds,
        seconds=seconds,
        what=f"{check}: {kinds}, was told {receiver.kinds(check)}\n{monitor.logs()}",
    )


def test_somebody_is_told_when_it_happens(start_monitor: StartMonitor) -> None:
    """Fire and resolve arrive although no sweep runs: what stored the transition wakes the delivery."""
    with receiving() as receiver:
        monitor = start_monitor(roster(receiver, sweep_interval="10m"))
        monitor.worker()
        monitor.worker()
        monitor.beat()
        monitor.wait_for_results("base", "shop", seconds=60)
        say(monitor, "base", "error")
        wait_until_told(monitor, receiver, "base", ["firing"])
        say(monitor, "base", "ok")
        wait_until_told(monitor, receiver, "base", ["firing", "resolved"])
        firing = receiver.taken[0].body
        assert firing["status"] == "error"
        assert re.fullmatch(r"base:\d{13}:[0-9a-f]{8}", firing["id"])
        assert "hunter2" not in monitor.logs()


def test_a_silence_holds_back_until_it_ends(start_monitor: StartMonitor) -> None:
    """By the commands: silenced, shown, ended; then what still fails is told, once, with its suffix."""
    with receiving() as receiver:
        monitor = start_monitor(roster(receiver, sweep_interval="500ms"))
        monitor.worker()
        monitor.beat()
        monitor.wait_for_results("base", "shop", seconds=60)
        said = command(monitor, "silence", "sh*", "--for", "1h", "--why", "we know", "--by", "ada")
        silence_id = said.split()[1].rstrip(":")
        say(monitor, "shop", "error")
        wait_for(lambda: _held(monitor) == {"shop": "silenced"}, seconds=30, every=0.5, what="shop is held back")
        listed = command(monitor, "silences")
        assert "sh*" in listed
        assert "we know" in listed
        assert "ada" in listed
        shown = command(monitor, "status")
        assert "silenced" in shown
        assert receiver.taken == []
        command(monitor, "unsilence", silence_id)
        wait_until_told(monitor, receiver, "shop", ["firing"])
        assert receiver.taken[0].body["id"].endswith(":deferred")
        assert "there is no such silence" in command(monitor, "unsilence", silence_id)


def test_one_alert_for_what_falls_together(start_monitor: StartMonitor) -> None:
    """What depends on something that fails is not told; once that is well again and it still fails, it is."""
    with receiving() as receiver:
        monitor = start_monitor(roster(receiver, sweep_interval="500ms"))
        monitor.worker()
        monitor.beat()
        monitor.wait_for_results("base", "shop", seconds=60)
        say(monitor, "base", "error")  # first, or its next run could still find it well after the other fails
        say(monitor, "shop", "error")
        wait_until_told(monitor, receiver, "base", ["firing"])
        wait_for(lambda: _held(monitor).get("shop") == "parent", seconds=30, every=0.5, what="shop is held back")
        assert receiver.kinds("shop") == []
        say(monitor, "base", "ok")
        wait_until_told(monitor, receiver, "base", ["firing", "resolved"])
        wait_until_told(monitor, receiver, "shop", ["firing"])


def _held(monitor: Monitor) -> dict[str, str | None]:
    return {alert.check: alert.held for alert in monitor.store.alerts.overview().alerts if alert.held}


def test_a_channel_that_never_answers_holds_up_nobody_else(start_monitor: StartMonitor) -> None:
    """One slot of a worker with two is lost on it at most: checks run, and the other channel is told at once."""
    with receiving() as receiver, socket.create_server(("127.0.0.1", 0)) as black_hole:
        port = black_hole.getsockname()[1]
        dead = f'[channels.dead]\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/"\ntimeout = "60s"\n'
        monitor = start_monitor("worker_slots = 2\n" + roster(receiver, sweep_interval="500ms") + dead)
        monitor.worker()
        monitor.beat()
        monitor.wait_for_results("base", "shop", seconds=60)
        told = []
        for status, kind in [("error", "firing"), ("ok", "resolved"), ("error", "firing"), ("ok", "resolved")]:
            say(monitor, "base", status)
            told.append(kind)
            wait_until_told(monitor, receiver, "base", told)
        waiting = {lane.channel: lane.pending for lane in monitor.store.alerts.overview().queues}
        assert waiting["dead"] >= 4
