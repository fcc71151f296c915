"""Redaction of secrets: credentials in URLs and texts, and values whose key names a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import SecretStr

MASK = "***"

_WORD = re.compile(r'[^\s"]+')
_NEXT_URL = re.compile(r"(?<=[;,])(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SECRETS = r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key"
_ASSIGNMENT = re.compile(
    rf"""(?ix) (?<![\w-]) ([\w-]{{0,80}}(?:{_SECRETS}|signature))
    (["']?\s*=\s*|["']\s*:\s*) ('[^']*'|"[^"]*"|[^\s&;,"']+)"""
)
_AUTHORIZATION = re.compile(
    r"""(?i)\b(authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token|digest)\s+)?[^\s"',]+"""
)
_SECRET_TABLE_NAME = re.compile(r"(?:^|_)headers$|^environment$")
_WEB_TARGET = re.compile(r"(?is)^(\s*https?://[^/?#\s]*)[/?#\s].+$")
# The host is a name with a dot, or it has a port, or it is behind an "@". A single word may be a password.
_URL_WITHOUT_SCHEME = re.compile(
    r"""(?xs)^ (?: (?P<user_info>.*@) (?P<host>[\w.-]+(?::\d+)?) | (?P<name>[\w-]*(?:\.[\w-]+)+(?::\d+)? | [\w-]+:\d+) )
    (?P<target>[/?#\s].*)? $"""
)
_NAMES_OF_URLS = ("url", "urls", "dsn")
_PLAIN_TRANSPORT_OPTIONS = frozenset(
    {
        "fanout_patterns",
        "fanout_prefix",
        "global_keyprefix",
        "master_name",
        "queue_name_prefix",
        "queue_order_strategy",
        "region",
        "sep",
    }
)
_MIN_LENGTH_TO_HIDE_ANYWHERE = 4
_SECRET_NAME = re.compile(rf"(?i)(?:{_SECRETS}|signature|authorization|cookie)|(?:^|_)(?:auth|sig)(?:$|_)")


def scrub(text: str) -> str:
    """Return the text with ``***`` in place of secrets.

    Secrets are the user and password of URLs, and the values in ``password=...``, ``Authorization: ...`` and the like.
    A second call with the result changes nothing. A text without secrets is returned unchanged.
    """
    if "://" in text and "@" in text:
        text = _WORD.sub(lambda word: _without_user_info(word[0]), text)
    if "=" in text or ":" in text:
        text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        text = _ASSIGNMENT.sub(rf"\1\2{MASK}", text)
    return text


def scrub_value(value: str) -> str:
    """Return a text that is one value, such as a URL, without secrets.

    Unlike in :func:`scrub`, the password of a URL may contain blanks and quotes.
    """
    return scrub(_without_user_info(value))


def is_secret(name: str) -> bool:
    """Return whether the value of a key is a secret, by the key's name: ``password``, ``SLACK_TOKEN``, ``Cookie``."""
    return _SECRET_NAME.search(name) is not None


def is_secret_path(path: Sequence[str]) -> bool:
    """Return whether the key at ``path``, or a table that contains this key, is a table of secrets like ``headers``."""
    path_below_name = (
        path[1:] if "." in path[0] else path[2:]
    )  # without the name of the check, which may be ``headers``
    return any(map(is_table_of_secrets, path_below_name))


def is_table_of_secrets(name: str) -> bool:
    """Return whether every value in the table ``name`` is a secret."""
    return _SECRET_TABLE_NAME.search(name) is not None


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return the text with ``***`` in place of these secrets.

    A secret of fewer than four characters is replaced only where it is an entire word. Otherwise a secret such as ``a``
    would make the text unreadable.
    """
    for secret in sorted(filter(None, (secret.strip() for secret in secrets)), key=len, reverse=True):
        if len(secret) >= _MIN_LENGTH_TO_HIDE_ANYWHERE:
            text = text.replace(secret, MASK)
        else:
            text = re.sub(rf"(?<![\w*]){re.escape(secret)}(?![\w*])", MASK, text)
    return text


def is_secret_type(annotation: Any) -> bool:
    """Return whether values of a type are or contain secrets: ``SecretStr``, or a table or list of it."""
    return annotation is SecretStr or any(map(is_secret_type, get_args(annotation)))


def as_secret(value: Any) -> Any:
    """Return the value with a ``SecretStr`` in place of each text, for a key whose type is a secret."""
    match value:
        case str():
            return SecretStr(value)
        case bytes():
            return SecretStr(value.decode(errors="replace"))
        case Mapping():
            return {key: as_secret(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [as_secret(item) for item in value]
        case None | bool() | SecretStr():
            return value
    return SecretStr(str(value))  # a number, such as a PIN


def mask(value: Any, name: str = "", scrub_text: Callable[[str], str] = scrub_value) -> Any:
    """Return the value of the key ``name`` with ``***`` in place of secrets. Tables and lists keep their structure.

    Pass :func:`scrub` as ``scrub_text`` if the texts are sentences. The default is for texts that are one value each.
    """
    masked = value
    match value:
        case None | bool():
            pass
        case _ if is_secret(name):
            masked = MASK
        case SecretStr():
            masked = _address(value.get_secret_value(), name, scrub_text)
        case str() if "://" not in value and name.lower().endswith(_NAMES_OF_URLS):
            masked = re.sub(r"(?s)^.*@", f"{MASK}@", scrub_text(value))  # a URL without a scheme
        case str():
            masked = scrub_text(value)
        case bytes():
            masked = scrub_text(value.decode(errors="replace"))
        case Mapping():
            shown = {key: _hide_texts(item) if _is_hidden(name, str(key)) else item for key, item in value.items()}
            masked = {key: mask(item, str(key), scrub_text) for key, item in shown.items()}
        case list() | tuple() | set() | frozenset():
            masked = [mask(item, name if isinstance(item, SecretStr) else "", scrub_text) for item in value]
    return masked


def _is_hidden(table: str, key: str) -> bool:
    """Return whether texts below a key are secrets. Transports of brokers have options of any name."""
    return table.endswith("transport_options") and key not in _PLAIN_TRANSPORT_OPTIONS


def _hide_texts(value: Any) -> Any:
    match value:
        case str() | bytes() | SecretStr():
            return MASK
        case Mapping():
            return {key: _hide_texts(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_hide_texts(item) for item in value]
    return value


def _address(secret: str, name: str, scrub_text: Callable[[str], str]) -> str:
    """Return the part of a secret that is none: scheme, host and port of a URL, else only ``***``.

    The path and the query of an http or https URL may be a credential. In the URL of another server, such as a Redis,
    they name a database.
    """
    if "://" in secret:
        return _WEB_TARGET.sub(rf"\1/{MASK}", scrub_text(scrub_value(secret)))
    if not name.lower().endswith(_NAMES_OF_URLS):
        return MASK
    match = _URL_WITHOUT_SCHEME.search(scrub_text(secret))
    if match is None:
        return MASK
    return (
        (f"{MASK}@" if match["user_info"] else "")
        + (match["host"] or match["name"])
        + (f"/{MASK}" if match["target"] else "")
    )


def hide_check_option(value: Any, name: str = "") -> Any:
    """Return an option of a check with ``***`` in place of secrets. All values in a table of headers are secrets."""
    return mask(_mask_secret_tables(value, name), name)


def hide_option(value: Any, name: str = "") -> Any:
    """Return an option of an alert channel with ``***`` in place of secrets.

    A URL is replaced except for its scheme, because the path of the URL may be the credential, as in
    ``https://hooks.slack.com/services/T00/B00/XXX`` and ``tgram://TOKEN/CHAT``.
    """
    if name.lower().endswith("key") and not isinstance(value, bool | None):
        return MASK
    if isinstance(value, Mapping):
        is_secret_table = is_table_of_secrets(name)
        return {key: MASK if is_secret_table else hide_option(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [hide_option(item, name) for item in value]
    if isinstance(value, SecretStr):  # without a scheme, the text may be the path of a URL
        scheme, separator, _ = value.get_secret_value().partition("://")
        return f"{scheme}{separator}{MASK}" if separator else MASK
    return mask(value, name, _only_schemes)


def _mask_secret_tables(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        is_secret_table = is_table_of_secrets(name)
        return {key: MASK if is_secret_table else _mask_secret_tables(item, str(key)) for key, item in value.items()}
    return [_mask_secret_tables(item, "") for item in value] if isinstance(value, list | tuple) else value


def _only_schemes(text: str) -> str:
    return re.sub(r"://[^\s,;\"']+", f"://{MASK}", scrub_value(text))


def _without_user_info(urls: str) -> str:
    # A password may contain an unescaped "/" or "@". So all text up to the last "@" of a URL is hidden. If the path of
    # the URL contains an "@", this hides the host.
    masked = []
    for url in _NEXT_URL.split(urls):
        scheme, separator, rest = url.partition("://")
        masked.append(f"{scheme}://{MASK}@{rest.rpartition('@')[2]}" if separator and "@" in rest else url)
    return "".join(masked)
