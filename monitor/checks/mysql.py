"""Time limits of a connection to MySQL.

The drivers try the addresses of a host one after another, and use the full ``connect_timeout`` for each address. After
an address has accepted the TCP connection, they try no other address, even if the server then does not answer. The
check uses the same drivers, so it fails in the same cases as the project's own connections.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

from monitor.lib.attempts import address_count, limit_timeout, share


def limit(options: MutableMapping[str, Any], driver: Any, host: str, timeout_seconds: float) -> None:
    """Set the time limits of a MySQL driver in ``options``. A shorter limit of the project is kept.

    The addresses of ``host`` share ``timeout_seconds`` for connecting. Each answer may take ``timeout_seconds``.
    """
    has_several_addresses = (attempts := address_count(host)) > 1
    limit_timeout(options, "connect_timeout", share(timeout_seconds, attempts))
    limit_timeout(options, "read_timeout", timeout_seconds)
    limit_timeout(options, "write_timeout", timeout_seconds)
    if driver.__name__ != "pymysql":  # mysqlclient accepts only integer seconds
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            # If this limit were rounded up, attempts to connect to several addresses would exceed the timeout.
            to_integer = math.floor if has_several_addresses and name == "connect_timeout" else math.ceil
            options[name] = max(1, to_integer(options[name]))
