"""TLS and SASL settings for kafka-python."""

from __future__ import annotations

import ssl
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.user_code import load
from monitor.lib.redaction import scrub


def security_settings(connection: KafkaConnection) -> dict[str, Any]:
    """Return the security settings for kafka-python.

    Raises CheckFailed with the reason ``tls``, ``authentication`` or ``import``.
    """
    settings: dict[str, Any] = {"security_protocol": connection.security_protocol}
    if connection.tls:
        settings["ssl_context"] = _tls_context(connection)
    if connection.sasl:
        settings["sasl_mechanism"] = connection.sasl_mechanism
        settings["sasl_plain_username"] = connection.sasl_username
        if connection.sasl_password is not None:
            settings["sasl_plain_password"] = connection.sasl_password.get_secret_value()
        if connection.sasl_token_provider is not None:
            settings["sasl_oauth_token_provider"] = _Token(_obtain_token(connection.sasl_token_provider))
    return settings


class _Token(AbstractTokenProvider):  # type: ignore[misc]
    """Token provider of kafka-python that returns a fixed token."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def token(self) -> str:
        return self._text


def _obtain_token(path: str) -> str:
    provider = load(path)
    try:
        token = provider()
    except Exception as error:
        raise CheckFailed("authentication", scrub(f"{path}: {type(error).__name__}: {error}")) from error
    if not isinstance(token, str) or not token:
        raise CheckFailed("authentication", f"{path}: returned {type(token).__name__} instead of a token")
    return token


def _tls_context(connection: KafkaConnection) -> ssl.SSLContext:
    password = connection.tls_password
    try:
        context = ssl.create_default_context(cafile=connection.tls_cafile)
    except OSError as error:  # includes ssl.SSLError
        raise CheckFailed("tls", f"tls_cafile {connection.tls_cafile}: {error.strerror or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = connection.tls_check_hostname
    if connection.tls_certfile:
        try:
            # With None instead of "", OpenSSL would prompt for the password of an encrypted key on the terminal.
            key_password = password.get_secret_value() if password else ""
            context.load_cert_chain(connection.tls_certfile, connection.tls_keyfile, key_password)
        except OSError as error:
            files = ", ".join(filter(None, (connection.tls_certfile, connection.tls_keyfile)))
            raise CheckFailed("tls", f"{files}: {error.strerror or error}") from error
    return context
