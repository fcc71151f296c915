"""Validation and conversion of URLs. Errors never repeat the URL, because it may contain a password."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from monitor.lib import redis_urls


def validated_url(value: SecretStr) -> SecretStr:
    """Return the URL unchanged. Raise ValueError if the URL has no scheme."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value()) is None:
        raise ValueError("should be a URL, such as redis://host:6379/0 or postgresql://user:password@host/name")
    return value


def validated_http_url(value: SecretStr) -> SecretStr:
    """Return the URL unchanged. Raise ValueError if the URL is not http or https, or has no host."""
    if re.match(r"(?i)https?://[^/?#\s]", value.get_secret_value()) is None:
        raise ValueError("should be an http or https URL, such as https://host/path")
    return value


def redis_py_url(value: SecretStr) -> SecretStr:
    """Return the URL of a Redis in the form that redis-py accepts. Raise ValueError for a URL of any other server."""
    return SecretStr(redis_urls.for_redis_py(value.get_secret_value()))


def validated_broker_url(value: SecretStr) -> SecretStr:
    """Return the URL unchanged. Raise ValueError if Celery cannot use the URL as a broker.

    The URL of a Redis may have any form that the setting ``redis_url`` accepts. A ``sentinel://`` URL may omit the name
    of the master, because Celery's transport options can contain it. Semicolons separate alternative brokers.
    """
    text = value.get_secret_value()
    if _is_one_redis(text):
        redis_urls.celery_options(text)
        return value
    for alternative in validated_url(value).get_secret_value().split(";"):  # kombu's separator of alternatives
        _validate_broker_address(alternative)
    return value


def celery_url(redis_url: SecretStr) -> SecretStr:
    """Return the URL of a Redis in the form that Celery accepts."""
    return SecretStr(redis_urls.for_celery(redis_url.get_secret_value()))


def celery_broker_url(broker_url: SecretStr) -> SecretStr:
    """Return a broker's URL in the form that Celery accepts. :func:`validated_broker_url` must have accepted it."""
    text = broker_url.get_secret_value()
    if _is_one_redis(text):
        return celery_url(broker_url)
    return SecretStr(";".join(_alternative_for_celery(alternative) for alternative in text.split(";")))


def celery_transport_options(url: SecretStr) -> dict[str, Any]:
    """Return Celery's transport options for the URL of a Redis, such as the master's name. Empty for other brokers."""
    text = url.get_secret_value()
    return redis_urls.celery_options(text) if _is_one_redis(text) else {}


def _is_one_redis(text: str) -> bool:
    return redis_urls.is_redis(text) and (text.startswith("sentinel://") or ";" not in text)


def _alternative_for_celery(text: str) -> str:
    """Return the URL of one alternative broker in the form that Celery accepts. Only URLs of a Redis are changed."""
    return redis_urls.for_celery(text) if redis_urls.is_redis(text) else text


def _validate_broker_address(text: str) -> None:
    scheme = text.partition("://")[0]
    # `parse` raises ValueError for redis+sentinel://, which `is_redis` does not recognise as a Redis.
    if redis_urls.is_redis(text) or scheme.partition("+")[0] in redis_urls.SCHEMES:
        redis_urls.parse(text, needs_master=False)
        return
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError("the port is not a number; write '/', '@', '#' in a password as %2F, %40, %23") from None
