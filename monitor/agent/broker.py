"""Derivation of the monitor's store from a Celery application's broker settings.

The agent in a worker and the monitor both use this module, so that they find the same Redis without configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

DEFAULT_PORTS = {
    "redis": 6379, "rediss": 6379, "sentinel": 26379, "amqp": 5672, "pyamqp": 5672, "amqps": 5671, "librabbitmq": 5672,
}  # fmt: skip

_VERIFY_MODES = {0: "none", 1: "optional", 2: "required"}
"""Names of the values of ``ssl.VerifyMode``. The module `ssl` is not imported, since that is expensive."""


def connection_settings(conf: Any) -> tuple[str | None, dict[str, Any], Any]:
    """Return the broker's URL, transport options and TLS options from a Celery application's configuration."""
    url = conf.broker_read_url or conf.broker_url
    if isinstance(url, list | tuple):
        url = ";".join(map(str, url))
    return (url if isinstance(url, str) else None), dict(conf.broker_transport_options or {}), conf.broker_use_ssl


def store_url(broker: str | None, options: Mapping[str, Any], tls: Any = None) -> str | None:
    """Return the URL of the broker's Redis as a value of ``redis_url``. Raises ValueError if the URL is invalid.

    Return None if the broker is not Redis. Return None also for a list of several Redis servers, because these servers
    do not contain the same data after a failover.
    """
    urls = [urlsplit(url) for url in _urls(broker)]
    if not urls:
        return None
    if urls[0].scheme == "sentinel":
        return _sentinel_url(urls, options, tls)
    if len(urls) > 1:
        return None
    if urls[0].scheme in {"redis", "rediss"}:
        return _tcp_url(urls[0], tls)
    return _unix_url(urls[0]) if urls[0].scheme == "redis+socket" else None


def key_prefix(options: Mapping[str, Any]) -> str | None:
    """Return the monitor's key prefix: it begins with the broker's ``global_keyprefix``; None without this option."""
    prefix = options.get("global_keyprefix")
    return f"{prefix}monitor:" if prefix and isinstance(prefix, str) else None


def addresses(broker: str | None) -> tuple[tuple[str, int], ...]:
    """Return host and port of each of the broker's URLs that uses TCP. Raises ValueError for an invalid port."""
    result = []
    for text in _urls(broker):
        url = urlsplit(text if "://" in text else f"amqp://{text}")
        port = url.port or DEFAULT_PORTS.get(url.scheme)
        if port is not None:
            result.append((url.hostname or "localhost", port))
    return tuple(result)


def _urls(broker: str | None) -> Iterator[str]:
    """Yield the URLs of a failover list. As in kombu, an entry without a scheme has the previous scheme."""
    scheme = ""
    for text in filter(None, (entry.strip() for entry in (broker or "").split(";"))):
        scheme = text.partition("://")[0] if "://" in text else scheme
        yield text if "://" in text or not scheme else f"{scheme}://{text}"


def _tcp_url(url: SplitResult, tls: Any) -> str:
    # As in kombu: on Redis `broker_use_ssl = True` has no effect, and a dict enables TLS.
    encrypted = url.scheme == "rediss" or isinstance(tls, Mapping)
    query = {**_tls_options(parse_qsl(url.query)), **(_tls_options(tls.items()) if isinstance(tls, Mapping) else {})}
    scheme = "rediss" if encrypted else "redis"
    return f"{scheme}://{_credentials(url)}{_host(url, 6379)}/{_database(url)}{_query(query if encrypted else {})}"


def _unix_url(url: SplitResult) -> str:
    given = dict(parse_qsl(url.query))
    return f"unix://{_credentials(url)}{url.path}?db={given.get('virtual_host', '0').strip('/') or 0}"


def _sentinel_url(urls: list[SplitResult], options: Mapping[str, Any], tls: Any) -> str | None:
    if not options.get("master_name"):
        return None
    query = {"master_name": str(options["master_name"])}
    for name in ("username", "password"):
        if value := (options.get("sentinel_kwargs") or {}).get(name):
            query[f"sentinel_{name}"] = str(value)
    if isinstance(tls, Mapping):
        query |= {"ssl": "true", **_tls_options(tls.items())}
    login = next(filter(None, map(_credentials, urls)), "")
    database = next((_database(url) for url in urls if url.path.strip("/")), "0")
    hosts = ";sentinel://".join(_host(url, 26379) for url in urls)
    return f"sentinel://{login}{hosts}/{database}{_query(query)}"


def _credentials(url: SplitResult) -> str:
    if not url.username and not url.password:
        return ""
    user, password = (quote(unquote(text or ""), safe="") for text in (url.username, url.password))
    return f"{user}:{password}@" if password else f"{user}@"


def _host(url: SplitResult, port: int) -> str:
    host = url.hostname or "localhost"
    return f"[{host}]:{url.port or port}" if ":" in host else f"{host}:{url.port or port}"


def _database(url: SplitResult) -> str:
    return url.path.strip("/") or "0"


def _tls_options(options: Any) -> dict[str, str]:
    """Return TLS options with redis-py's names and values. Celery also accepts constants of the module ``ssl``."""
    result = {}
    for name, value in options:
        if name == "ssl_cert_reqs":
            number = value if isinstance(value, int) else 0 if value is None else None
            text = _VERIFY_MODES[number] if number is not None else str(value)
            result[name] = text.removeprefix("CERT_").lower()
        elif name.startswith("ssl_") and value is not None:
            result[name] = str(value)
    return result


def _query(values: Mapping[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""
