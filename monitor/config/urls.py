"""Validation and conversion of URLs. Errors never repeat the URL, because it may contain a password."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from monitor.lib import redis_urls


def url(value: SecretStr) -> SecretStr:
    """Return the same URL. Raise ValueError if it has no scheme."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value()) is None:
        raise ValueError("should be a URL, such as redis://host:6379/0 or postgresql://user:password@host/name")
    return value


def redis_url(value: SecretStr) -> SecretStr:
    """Return the URL of a Redis server in redis-py's form. Raise ValueError if it has none of the accepted forms."""
    return SecretStr(redis_urls.for_redis_py(value.get_secret_value()))


def broker_url(value: SecretStr) -> SecretStr:
    """Return the same URL. Raise ValueError if Celery could not use it as a broker.

    A Redis may have each form that it may have as the store. Celery's transport options may name the master of
    Sentinels instead of the URL. Semicolons separate alternative brokers.
    """
    text = value.get_secret_value()
    if _is_one_redis(text):
        redis_urls.celery_options(text)
        return value
    for alternative in url(value).get_secret_value().split(";"):  # kombu's separator of alternatives
        _validate_broker_address(alternative)
    return value


def celery_url(store: SecretStr) -> SecretStr:
    """Return the URL of the Redis of ``store`` in Celery's form."""
    return SecretStr(redis_urls.for_celery(store.get_secret_value()))


def celery_broker_url(broker: SecretStr) -> SecretStr:
    """Return the URL of ``broker`` in Celery's form. :func:`broker_url` must have accepted it."""
    text = broker.get_secret_value()
    if _is_one_redis(text):
        return celery_url(broker)
    return SecretStr(";".join(_alternative_for_celery(each) for each in text.split(";")))


def celery_transport_options(url: SecretStr) -> dict[str, Any]:
    """Return Celery's transport options for a Redis, such as the master's name for Sentinels."""
    text = url.get_secret_value()
    return redis_urls.celery_options(text) if _is_one_redis(text) else {}


def _is_one_redis(text: str) -> bool:
    return redis_urls.is_redis(text) and (text.startswith("sentinel://") or ";" not in text)


def _alternative_for_celery(text: str) -> str:
    """Return one of several brokers in Celery's form. Only the URL of a Redis may have another form."""
    return redis_urls.for_celery(text) if redis_urls.is_redis(text) else text


def _validate_broker_address(text: str) -> None:
    scheme = text.partition("://")[0]
    if (
        redis_urls.is_redis(text) or scheme.partition("+")[0] in redis_urls.SCHEMES
    ):  # refuses redis+sentinel://, which is not accepted
        redis_urls.parse(text, needs_master=False)
        return
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError("the port is not a number; write '/', '@', '#' in a password as %2F, %40, %23") from None
