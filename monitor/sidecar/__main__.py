"""Server of a sidecar with Redis: ``python -m monitor.sidecar HOST PORT``. Worker and beat are separate processes."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from monitor.api.service import service
from monitor.lib import logs
from monitor.sidecar.application import Application
from monitor.sidecar.server import CannotListen, SidecarServer

log = logs.get_logger("monitor.sidecar")


def main(host: str, port: int) -> int:
    """Answer HTTP requests until SIGTERM, SIGINT or SIGHUP. Return 1 if the server cannot listen."""
    api_service = service()
    logs.configure(api_service.config.log_format, api_service.config.log_level)
    try:
        server = SidecarServer(Application(api_service), host, port)
    except CannotListen as error:
        log.error("sidecar.cannot_listen", host=host, port=port, error=str(error))
        return 1
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _exit)
    api_service.refresher.start()
    log.info("sidecar.listening", url=server.url)
    server.run()
    api_service.refresher.stop()
    return 0


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
