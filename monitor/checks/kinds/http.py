"""Check of the status code and the body of an HTTP response."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from urllib3.exceptions import HTTPError

from monitor.checks.base import Kind, Observation
from monitor.checks.failures import NETWORK_REASONS, io_timeout
from monitor.checks.http_failures import http_failure
from monitor.checks.registry import register
from monitor.config.headers import Headers, merged_headers
from monitor.lib.http import USUAL_HEADERS, HttpClient
from monitor.model.checks import Outcome, Status

MAX_BODY_BYTES = 1024 * 1024  # the rest of a body is not read
StatusCode = Annotated[int, Field(ge=100, le=599)]


@register("http")
@dataclass(frozen=True, kw_only=True)
class Http(Kind):
    """Send a request, check the status code of the response, and optionally search the body for a text.

    Redirects are not followed. Proxies that environment variables set are not used.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$", description="URL, without credentials")]
    method: Annotated[Literal["GET", "HEAD"], Field(description="request method")] = "GET"
    expected_status: Annotated[
        frozenset[StatusCode],
        Field(min_length=1, description="status codes of a response that is ok; any other status code is an error"),
    ] = frozenset({200})
    contains: Annotated[
        str | None, Field(min_length=1, description="text that the first MiB of the body must contain; only with GET")
    ] = None
    headers: Annotated[Headers, Field(description="request headers; their values are treated as secrets")] = field(
        default_factory=dict, repr=False
    )
    verify_tls: Annotated[bool, Field(description="whether to verify the server's certificate")] = True
    ca_file: Annotated[
        str | None,
        Field(description="path of a PEM file with CA certificates, which replace the system's CA certificates"),
    ] = None

    reports: ClassVar[Mapping[str, str]] = {"status_code": "status code of the response"}
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        "unexpected_status": "the status code is not one of `expected_status`",
        "unexpected_body": "the first MiB of the body does not contain the text of `contains`",
        "invalid_answer": "the response is not HTTP",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "url": "http://127.0.0.1:8001/api/ping",
        "expected_status": [200, 204],
        "headers": {"Authorization": "Bearer ..."},
    }

    def __post_init__(self) -> None:
        if self.contains is not None and self.method == "HEAD":
            raise ValueError("a response to HEAD has no body to search for `contains`: use GET")

    def observe(self, timeout_seconds: float) -> Observation:
        """Send the request and read the response up to its first MiB. Both together end within the timeout."""
        deadline = time.monotonic() + io_timeout(timeout_seconds)
        ca_file = self.ca_file if self.verify_tls else None
        try:
            with HttpClient(verify_tls=self.verify_tls, ca_file=ca_file) as client:
                status_code, body = client.fetch(
                    self.url,
                    deadline=deadline,
                    max_bytes=MAX_BODY_BYTES,
                    method=self.method,
                    headers=merged_headers(USUAL_HEADERS, self.headers),
                )
        except (HTTPError, OSError) as error:
            raise http_failure(error, self.url, not_http="invalid_answer") from error
        has_text = self.contains is None or self.contains.encode() in body
        return Observation({"status_code": status_code}, {"contains": has_text})

    def judge(self, observation: Observation) -> Outcome:
        """Return an error if the status code is not expected, or if the body lacks the text."""
        data, status_code = observation.data, observation.data["status_code"]
        if status_code not in self.expected_status:
            return Outcome(Status.ERROR, data, "unexpected_status", f"{self.url} answered {status_code}")
        if not observation.detail.get("contains", True):
            return Outcome(Status.ERROR, data, "unexpected_body", f"{self.url}: the body does not contain the text")
        return Outcome(Status.OK, data)
