"""A POST of JSON to any address, signed."""

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
        raise ValueError(f"after {PREFIX} there should be base64")
    return value


@register("webhook")
@dataclass(frozen=True, kw_only=True)
class Webhook(Channel):
    """POSTs the notice as JSON: `id`, `kind`, `check`, `status`, `was`, `severity`, `reason`, `message`, `since`, `at`,
    `labels`, `data`, `title`, `body`.

    Signed as [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
    says, whose libraries verify it: `webhook-signature: v1,` and the base64 of HMAC-SHA256 over `webhook-id`, `.`,
    `webhook-timestamp` (Unix seconds at sending), `.` and the body. `webhook-id` and `Idempotency-Key` are the notice's
    id, the same when it is delivered again; in `webhook-id` a dot is written `%2E`, since a dot separates there.

    Tried again: no answer in time, 408, 425, 429 (after `Retry-After`), 5xx, 302, 303 and 307. Given up: all else that
    is not 2xx. Redirects and proxies are not followed.
    """

    url: Annotated[SecretUrl, Field(description="where to; taken for a secret as a whole")]
    secret: Annotated[
        SecretStr | None,
        AfterValidator(lambda value: value and _signing_key(value)),
        Field(description="signs; `whsec_` and base64, or any text; without one there is no signature"),
    ] = None
    headers: Annotated[
        Mapping[str, SecretStr], Field(description="more request headers; their values are taken for secrets")
    ] = field(default_factory=dict)
    ca_file: Annotated[str | None, Field(description="CA certificates to trust instead of the system's")] = None

    example: ClassVar[Mapping[str, Any]] = {
        "url": "https://hooks.example.com/T0KEN",
        "secret": "whsec_bm90LWEtc2VjcmV0LWJ1dC1hbi1leGFtcGxl",
    }

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """One request."""
        body = to_json(as_json(notice, text))
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        headers["Idempotency-Key"] = quote(notice.id, safe="!#$%&'()*+,/:;=?@[]")
        headers |= signature(notice.id, int(time.time()), body, self.secret)
        post(self.url, body, headers, attempt, self.ca_file)


def signature(notice_id: str, timestamp: int, body: bytes, secret: SecretStr | None) -> dict[str, str]:
    """The headers of Standard Webhooks; without a secret, those that need none."""
    webhook_id = quote(notice_id, safe=":@").replace(".", "%2E")
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        digest = hmac.digest(key_of(secret), signed, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def key_of(secret: SecretStr) -> bytes:
    """The bytes to sign with; empty when there are none."""
    value = secret.get_secret_value()
    if not value.startswith(PREFIX):
        return value.encode()
    try:
        return base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return b""
