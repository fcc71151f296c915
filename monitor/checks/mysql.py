"""Time limits of a connection to MySQL.

The drivers try the addresses of a host one after another, and give each the full ``connect_timeout``. Once an address
has accepted a connection, no other address is tried. The project's own connections behave the same, so a check that
fails there reports what the project would meet.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

from monitor.lib.attempts import address_count, limit_timeout, share


def limit(options: MutableMapping[str, Any], driver: Any, host: str, timeout_seconds: float) -> None:
    """Set time limits in ``options``: for the connection to each address of ``host``, and for each answer.

    Shorter limits of the project are kept.
    """
    has_several_addresses = (attempts := address_count(host)) > 1
    limit_timeout(options, "connect_timeout", share(timeout_seconds, attempts))
    limit_timeout(options, "read_timeout", timeout_seconds)
    limit_timeout(options, "write_timeout", timeout_seconds)
    if driver.__name__ != "pymysql":  # mysqlclient accepts only integer seconds
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            # Rounded up, the attempts at several addresses would take longer than the timeout.
            to_integer = math.floor if has_several_addresses and name == "connect_timeout" else math.ceil
            options[name] = max(1, to_integer(options[name]))
