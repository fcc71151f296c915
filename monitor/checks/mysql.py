"""Time limits of a connection to MySQL.

Its drivers try the addresses of a host one after another, and give each the whole ``connect_timeout``. An address that
has accepted is not left for another one: the project does not get any further with it, and neither does a check.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

from monitor.lib.attempts import addresses, narrow, share


def limit(options: MutableMapping[str, Any], driver: Any, host: str, timeout_seconds: float) -> None:
    """Put time limits into ``options``: one for each address of ``host``, and one for each answer.

    The project's own limits stay where they are narrower.
    """
    several = (attempts := addresses(host)) > 1
    narrow(options, "connect_timeout", share(timeout_seconds, attempts))
    narrow(options, "read_timeout", timeout_seconds)
    narrow(options, "write_timeout", timeout_seconds)
    if driver.__name__ != "pymysql":  # mysqlclient knows whole seconds only
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            whole = math.floor if several and name == "connect_timeout" else math.ceil
            options[name] = max(1, whole(options[name]))
