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


def _signing_key(value: SecretStr) -> SecretStr:
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
    libraries verify it: `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `webhook-id`, `.`,
    `webhook-timestamp` (Unix seconds at sending), `.` and the body. `webhook-id` and `Idempotency-Key` are the id of
    the notification, which is the same if it is delivered again. In `webhook-id` a dot is written as `%2E`, because
    the dot is the separator.

    The delivery is repeated without a response in time, and after 408, 425, 429 (after `Retry-After`), 5xx, 302, 303
    and 307. It is given up after any other status that is not 2xx. Redirects and proxies are not followed.
    """

    url: Annotated[SecretUrl, Field(description="http or https URL of the receiver; the complete URL is a secret")]
    secret: Annotated[
        SecretStr | None,
        AfterValidator(lambda value: value and _signing_key(value)),
        Field(description="key of the signature: `whsec_` and base64, or any text; without it requests are not signed"),
    ] = None
    headers: Annotated[
        Mapping[str, SecretStr], Field(description="additional request headers; their values are secrets")
    ] = field(default_factory=dict)
    ca_file: Annotated[
        str | None, Field(description="path of a PEM file with the CA certificates to trust; without it the system's")
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
    """Return the headers of Standard Webhooks, without a secret only those that need no signature."""
    webhook_id = quote(notice_id, safe=":@").replace(".", "%2E")
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        digest = hmac.digest(key_of(secret), signed, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def key_of(secret: SecretStr) -> bytes:
    """Return the key of the signature; empty if it is not valid base64."""
    value = secret.get_secret_value()
    if not value.startswith(PREFIX):
        return value.encode()
    try:
        return base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return b""
