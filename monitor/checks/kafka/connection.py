"""Connection settings of a Kafka cluster and their validation. This module does not import kafka-python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
IsolationLevel = Literal["read_uncommitted", "read_committed"]

OLDEST = (0, 9)  # the first version whose brokers support consumer groups
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")


@dataclass(frozen=True, kw_only=True)
class KafkaConnection:
    """Connection settings of a Kafka cluster. Raises ValueError with all problems if the settings are invalid.

    - ``brokers`` are one or more brokers as ``host`` or ``host:port`` (default port 9092). These
      brokers return the addresses of the other brokers.
    - ``api_version`` is None for brokers that support the request ApiVersions (0.10 and newer).
    - ``tls_cafile``, ``tls_certfile`` and ``tls_keyfile`` are paths of PEM files.
    - ``sasl_token_provider`` is the dotted path of a callable without arguments that returns a token for OAUTHBEARER.
    """

    brokers: tuple[str, ...]
    api_version: tuple[int, ...] | None = None
    client_id: str = "celery-health-monitor"
    security_protocol: SecurityProtocol = "PLAINTEXT"
    tls_cafile: str | None = None
    tls_certfile: str | None = None
    tls_keyfile: str | None = None
    tls_password: SecretStr | None = None
    tls_check_hostname: bool = True
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_token_provider: str | None = None

    def __post_init__(self) -> None:
        if problems := [*self._broker_problems(), *self._tls_problems(), *self._sasl_problems()]:
            raise ValueError("; ".join(problems))

    @property
    def tls(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Return whether the client authenticates itself with SASL."""
        return self.security_protocol.startswith("SASL_")

    def _broker_problems(self) -> list[str]:
        # The messages do not contain the addresses: an invalid address may be a URL with a password.
        problems = [] if self.brokers else ["brokers must contain at least one host:port"]
        addresses = [_BROKER.fullmatch(broker) for broker in self.brokers]
        if any(address is None or int((address[2] or ":1")[1:]) > 65535 for address in addresses):
            problems.append("brokers must be host:port, without a scheme and without credentials")
        if self.api_version is not None and self.api_version < OLDEST:
            problems.append("api_version must be 0.9 or newer: older brokers do not support consumer groups")
        return problems

    def _tls_problems(self) -> list[str]:
        problems = []
        if not self.tls and any((self.tls_cafile, self.tls_certfile, self.tls_keyfile, self.tls_password)):
            problems.append("tls_* options need security_protocol SSL or SASL_SSL")
        if self.tls_keyfile and not self.tls_certfile:
            problems.append("tls_keyfile needs tls_certfile")
        return problems

    def _sasl_problems(self) -> list[str]:
        options = (self.sasl_mechanism, self.sasl_username, self.sasl_password, self.sasl_token_provider)
        if not self.sasl:
            return ["sasl_* options need security_protocol SASL_SSL or SASL_PLAINTEXT"] if any(options) else []
        if self.sasl_mechanism is None:
            return [f"{self.security_protocol} needs sasl_mechanism"]
        if self.sasl_mechanism == "OAUTHBEARER":
            return [] if self.sasl_token_provider else ["OAUTHBEARER needs sasl_token_provider"]
        missing = self.sasl_username is None or self.sasl_password is None
        return [f"{self.sasl_mechanism} needs sasl_username and sasl_password"] if missing else []


def parse_api_version(value: str | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return a version such as ``"0.9"`` or ``[0, 9]`` as a tuple of numbers. Raises ValueError if it is invalid."""
    if value is None:
        return None
    try:
        return tuple(int(number) for number in (value.split(".") if isinstance(value, str) else value))
    except ValueError:
        raise ValueError('api_version must be a version such as "0.9" or [0, 9]') from None
