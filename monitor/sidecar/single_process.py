"""Sidecar without Redis: the same process schedules the checks and answers HTTP requests.

Each check runs in a child process.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from monitor import wiring
from monitor.api.service import build
from monitor.config import Config
from monitor.config.model import READY
from monitor.lib import logs
from monitor.project.discovery import VARIABLE as DJANGO_SETTINGS_VARIABLE
from monitor.sidecar.application import Application
from monitor.sidecar.loop import CheckLoop
from monitor.sidecar.memories import MemoryFile
from monitor.sidecar.server import SidecarServer
from monitor.store.memory.store import MemoryStore
from monitor.supervisor.readiness import base_url
from monitor.supervisor.role_file import RoleFile

NEED_DJANGO = frozenset({"database", "django_health_check"})
"""Kinds that need Django's settings. Django takes 20 MB per process and is loaded only for these kinds."""

log = logs.get_logger("monitor.sidecar")


def run(config: Config, host: str, port: int, data_dir: Path | None = None) -> None:
    """Run the checks and answer HTTP requests until SIGTERM, SIGINT or SIGHUP.

    Raise CannotListen if the address cannot be used, and UnusableDirectory if ``data_dir`` cannot be used.
    """
    logs.configure(config.log_format, config.log_level)
    if NEED_DJANGO.isdisjoint(check.kind for check in config.checks.values()):
        os.environ.pop(DJANGO_SETTINGS_VARIABLE, None)
    # History would grow while the process runs, and no endpoint of the sidecar reads it.
    store = MemoryStore(keeps_history=False)
    # `MemoryStore` is a store in RAM. `MemoryFile` copies its states and the memories of the checks to a file.
    state_file = MemoryFile(data_dir, store.states) if data_dir is not None else None
    service = build(config, connect=lambda: store)
    server = SidecarServer(Application(service), host, port)
    if state_file is not None:
        state_file.load()
    # Options that a check does not set itself, such as its URL, come from the settings.
    checks = {name: wiring.with_configured_options(config, check) for name, check in config.checks.items()}
    executor = wiring.build_executor(config)
    save = state_file.save if state_file is not None else lambda: None
    loop = CheckLoop(config, checks, store.states, executor, save)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _exit)
    if config.channels:
        log.warning("sidecar.channels_ignored", channels=list(config.channels), hint="alerts need a Redis URL")
    log.info("sidecar.listening", url=server.url, checks=[check.name for check in config.members(READY)])
    try:
        service.refresher.start()
        loop.start()
        RoleFile("sidecar", f"{base_url(server.address, server.port)}/health").write_once()
        server.run()
    finally:
        log.info("sidecar.stopping")
        loop.stop()
        service.refresher.stop()
    log.info("sidecar.stopped")


def _exit(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # ignore further signals: the shutdown takes about a second
    sys.exit(0)
