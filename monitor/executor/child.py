"""Check process: runs checks for one client, one at a time, until the client closes the connection."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from monitor.executor.messages import Request, decode_request, encode_outcome
from monitor.model.checks import Outcome, Past, Status

logger = logging.getLogger(__name__)

Run = Callable[[str, Mapping[str, Any], float, Past], Outcome]

# The client kills this process at the time limit of the check. If the client has died, the kernel kills this process
# at the time limit plus BACKSTOP_SECONDS: an itimer with the default action needs neither the GIL nor the interpreter.
BACKSTOP_SECONDS = 0.5


def serve(connection: Connection, run: Run) -> None:
    """Run the check of each request, and send its outcome and response time, until the connection is closed.

    `monitor.executor.messages` defines the requests and responses.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    while True:
        try:
            request = decode_request(connection.recv_bytes())
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_REAL, request.timeout_seconds + BACKSTOP_SECONDS)
        response = _run(request, run)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            connection.send_bytes(response)
        except OSError:
            return


def _run(request: Request, run: Run) -> bytes:
    started = time.perf_counter()
    try:
        outcome = run(request.kind, request.options, request.timeout_seconds, request.past)
    except Exception as error:
        logger.exception("check of kind %s raised", request.kind)
        outcome = Outcome(Status.ERROR, reason="exception", message=f"{type(error).__name__} (see the log)")
    elapsed_ms = (time.perf_counter() - started) * 1000
    try:
        return encode_outcome(outcome, elapsed_ms)
    except (TypeError, ValueError) as error:
        logger.error("check of kind %s returned an outcome that cannot be stored: %s", request.kind, error)
        unusable = Outcome(Status.ERROR, reason="bad_data", message=f"cannot be stored: {error}")
        return encode_outcome(unusable, elapsed_ms)
