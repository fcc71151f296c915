"""What is known of URLs: which are right for what. Errors never repeat the URL: it may hold a password."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from monitor.lib import redis_urls


def url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError when it has no scheme."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value()) is None:
        raise ValueError("should be a URL, such as redis://host:6379/0 or postgresql://user:password@host/name")
    return value


def redis_url(value: SecretStr) -> SecretStr:
    """Return the URL of a Redis server as redis-py wants it. Raises ValueError when it has none of the forms."""
    return SecretStr(redis_urls.for_redis_py(value.get_secret_value()))


def broker_url(value: SecretStr) -> SecretStr:
    """Return the URL of a broker. Raises ValueError for one that Celery could not use.

    A Redis may have every form that it has as the store. The master of Sentinels may be named by Celery's transport
    options instead; brokers that replace one another are separated by semicolons.
    """
    text = value.get_secret_value()
    if _is_one_redis(text):
        redis_urls.celery_options(text)
        return value
    for each in url(value).get_secret_value().split(";"):  # as kombu separates alternatives
        _broker_address(each)
    return value


def celery_url(store: SecretStr) -> SecretStr:
    """Return the URL by which Celery reaches the Redis of ``store``."""
    return SecretStr(redis_urls.for_celery(store.get_secret_value()))


def celery_broker_url(broker: SecretStr) -> SecretStr:
    """Return the URL by which Celery reaches ``broker``, a URL that :func:`broker_url` has found right."""
    text = broker.get_secret_value()
    if _is_one_redis(text):
        return celery_url(broker)
    return SecretStr(";".join(_in_celerys_words(each) for each in text.split(";")))


def celery_transport_options(url: SecretStr) -> dict[str, Any]:
    """Return what Celery has to know of a Redis besides its URL: of Sentinels, the master's name."""
    text = url.get_secret_value()
    return redis_urls.celery_options(text) if _is_one_redis(text) else {}


def _is_one_redis(text: str) -> bool:
    return redis_urls.is_redis(text) and (text.startswith("sentinel://") or ";" not in text)


def _in_celerys_words(text: str) -> str:
    """Return one of several brokers: only a Redis may have another form than Celery's."""
    return redis_urls.for_celery(text) if redis_urls.is_redis(text) else text


def _broker_address(text: str) -> None:
    scheme = text.partition("://")[0]
    if redis_urls.is_redis(text) or scheme.partition("+")[0] in redis_urls.SCHEMES:  # redis+sentinel:// is no form
        redis_urls.parse(text, needs_master=False)
        return
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError("has no number as its port; are '/', '@', '#' of the password %2F, %40, %23?") from None
