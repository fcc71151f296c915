"""Where a zygote listens: a unix socket, without a file where the system can do without."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path


def new_address() -> str:
    """An address that nobody else has. ``@name`` is a name in Linux' abstract namespace, gone with its socket."""
    name = f"celery-health-monitor-{os.getpid()}-{secrets.token_hex(8)}"
    return f"@{name}" if sys.platform == "linux" else str(Path(tempfile.gettempdir()) / name)


def socket_address(address: str) -> str:
    """The address as the socket module wants it."""
    return "\0" + address[1:] if address.startswith("@") else address
