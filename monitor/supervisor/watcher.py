"""Watcher: the process that ends the child processes of a supervisor that was killed.

The standard input of the watcher is a pipe whose other end only the supervisor has. So at end of file the supervisor
has ended. Then the watcher ends every process with the supervisor's mark.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from monitor.supervisor.marks import end_marked

GRACE_SECONDS = 3.0


def start(mark: str) -> subprocess.Popen[bytes]:
    """Start a watcher for the processes with ``mark``. Close ``stdin`` of the returned process to end them."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "monitor.supervisor.watcher", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the end of the supervisor, then end its process tree."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(sys.argv[1], grace_seconds=GRACE_SECONDS)


if __name__ == "__main__":
    main()
