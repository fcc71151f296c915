"""HTTP connections that give each address of a host its share of the time to connect."""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from monitor.checks._attempts import addresses, share


def pool_manager(**options: Any) -> urllib3.PoolManager:
    """Return urllib3's PoolManager with such connections."""
    manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager


class _SharesTime(HTTPConnection):
    """Gives the attempt at each address its share of the time."""

    def _new_conn(self) -> socket.socket:
        whole, self.timeout = self.timeout, _share(self)
        try:
            return super()._new_conn()
        finally:
            self.timeout = whole


class _SharesTimeWithTls(_SharesTime, HTTPSConnection):
    pass


def _share(connection: HTTPConnection) -> Any:
    timeout = connection.timeout
    if not isinstance(timeout, int | float):
        return timeout
    return share(timeout, addresses(connection.host.strip("[]"), connection.port))


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _SharesTime


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _SharesTimeWithTls
