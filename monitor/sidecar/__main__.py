"""Server of the sidecar if the states are in Redis: ``python -m monitor.sidecar HOST PORT``. One role of several."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import structlog

from monitor.api.service import service
from monitor.lib import logs
from monitor.sidecar.application import Application
from monitor.sidecar.server import CannotListen, SidecarServer

log = structlog.get_logger("monitor.sidecar")


def main(host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT. Return the exit status."""
    known = service()
    logs.configure(known.config.log_format, known.config.log_level)
    try:
        server = SidecarServer(Application(known), host, port)
    except CannotListen as error:
        log.error("sidecar.cannot_listen", host=host, port=port, error=str(error))
        return 1
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    known.refresher.start()
    log.info("sidecar.listening", url=server.url)
    server.run()
    known.refresher.stop()
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
