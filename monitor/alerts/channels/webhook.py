"""Channel `webhook`: a signed POST request with JSON."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr

from monitor.alerts.base import Attempt, Channel
from monitor.alerts.http import SecretUrl, post, to_json
from monitor.alerts.registry import register
from monitor.alerts.text import Text, as_json
from monitor.model.checks import Notice

PREFIX = "whsec_"


def _validated_secret(value: SecretStr) -> SecretStr:
    if not key_of(value):
        raise ValueError(f"should be base64 after {PREFIX}, or a text without this prefix")
    return value


@register("webhook")
@dataclass(frozen=True, kw_only=True)
class Webhook(Channel):
    """POST request with the notification as JSON: `id`, `kind`, `check`, `status`, `was`, `severity`, `reason`,
    `message`, `since`, `at`, `labels`, `data`, `title`, `body`.

    The signature follows [Standard
    Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), whose
    libraries can verify it. The header `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `webhook-id`,
    `.`, `webhook-timestamp` (Unix seconds at sending), `.` and the body. The headers `webhook-id` and `Idempotency-Key`
    contain the id of the notification. A notification that is delivered again has the same id. In `webhook-id` a dot of
    the id is written as `%2E`, because the dot is the separator.

    The delivery is repeated if no response arrives within `timeout`, after the statuses 408, 425, 429 and 5xx, and
    after redirects except 301 and 308. It is given up after any other status that is not 2xx. A header `Retry-After` is
    obeyed. Redirects are not followed, and no proxy is used.
    """

    url: Annotated[SecretUrl, Field(description="http or https URL of the receiver. The complete URL is a secret")]
    secret: Annotated[
        SecretStr | None,
        AfterValidator(lambda value: value and _validated_secret(value)),
        Field(
            description="key of the signature: `whsec_` and base64, or any other text. If it is not set, requests are "
            "not signed"
        ),
    ] = None
    headers: Annotated[
        Mapping[str, SecretStr], Field(description="additional request headers. Their values are secrets")
    ] = field(default_factory=dict)
    ca_file: Annotated[
        str | None,
        Field(description="path of a PEM file with the CA certificates to trust. Default: those of the system"),
    ] = None

    example: ClassVar[Mapping[str, Any]] = {
        "url": "https://hooks.example.com/T0KEN",
        "secret": "whsec_bm90LWEtc2VjcmV0LWJ1dC1hbi1leGFtcGxl",
    }

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send one request."""
        body = to_json(as_json(notice, text))
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        headers["Idempotency-Key"] = quote(notice.id, safe="!#$%&'()*+,/:;=?@[]")
        headers |= signature(notice.id, int(time.time()), body, self.secret)
        post(self.url, body, headers, attempt, self.ca_file)


def signature(notice_id: str, timestamp: int, body: bytes, secret: SecretStr | None) -> dict[str, str]:
    """Return the headers of Standard Webhooks. Without a secret, `webhook-signature` is missing."""
    webhook_id = quote(notice_id, safe=":@").replace(".", "%2E")
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        digest = hmac.digest(key_of(secret), signed, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def key_of(secret: SecretStr) -> bytes:
    """Return the key of the signature. Empty if the text after the prefix is not valid base64."""
    value = secret.get_secret_value()
    if not value.startswith(PREFIX):
        return value.encode()
    try:
        return base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return b""
