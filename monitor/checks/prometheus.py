"""Instant queries to Prometheus, or to a server with the same HTTP API (Thanos, Mimir, VictoriaMetrics).

The API: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, SecretStr
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Url, parse_url

from monitor.checks.base import CheckFailed
from monitor.checks.failures import NETWORK_REASONS
from monitor.checks.http_failures import http_failure
from monitor.config.headers import merged_headers
from monitor.lib.http import USUAL_HEADERS, HttpClient, http_url
from monitor.lib.redaction import hide_secrets, scrub

MAX_BODY_BYTES = 8 * 1024 * 1024  # tens of thousands of series
FIRST_PAUSE_SECONDS = 0.05
MAX_MESSAGE_CHARACTERS = 300  # limit for text from the server
REASONS = {
    **NETWORK_REASONS,
    "authentication": "the user, password or token is wrong, or lacks permission (401 or 403)",
    "unavailable": "Prometheus, or a proxy in front of it, answers 429 or 5xx, or the answer is incomplete",
    "bad_query": "Prometheus rejects the query, or the result is not one number for each series",
    "bad_answer": "the response is not one of the API of Prometheus: wrong path, redirect, or another server",
}


def _http_url(value: SecretStr) -> SecretStr:
    url = http_url(value.get_secret_value().strip())
    if url is None:
        raise ValueError("write the URL of Prometheus, such as http://prometheus:9090 or https://host/prefix")
    if url.query is not None or url.fragment is not None:
        raise ValueError("write the URL of Prometheus without a query: '/api/v1/query?...' is added to it")
    return value


BaseUrl = Annotated[SecretStr, AfterValidator(_http_url)]
"""Base URL of Prometheus, with its path prefix if it has one, such as ``https://host/prefix``.

It may contain ``user:password@``.
"""


@dataclass(frozen=True, slots=True)
class PrometheusEndpoint:
    """Address, credentials and time limits of a Prometheus server.

    Precedence, highest first: ``headers``, ``token``, ``username`` with ``password``, the credentials in ``url``.
    ``timeout_seconds`` limits one attempt. ``retries`` is the number of further attempts after a temporary failure.
    """

    url: SecretStr
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    ca_file: str | None = None
    verify_tls: bool = True
    timeout_seconds: float = 1.5
    retries: int = 2
    headers: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuerySample:
    """Current value of one series. The value may be NaN or infinite. A scalar has no labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Result of a query: one sample for each series.

    ``warnings`` are the warnings in the response, with credentials removed. ``partial_reason`` explains why data is
    missing; it is None if the result is complete.
    """

    samples: tuple[QuerySample, ...] = ()
    warnings: tuple[str, ...] = ()
    partial_reason: str | None = None


class Prometheus:
    """Client for the queries of one run. All queries together take at most ``budget_seconds``."""

    def __init__(self, endpoint: PrometheusEndpoint, budget_seconds: float) -> None:
        self._endpoint = endpoint
        self._target = parse_url(endpoint.url.get_secret_value().strip())
        self._deadline = time.monotonic() + budget_seconds
        self._client = HttpClient(verify_tls=endpoint.verify_tls, ca_file=endpoint.ca_file)

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, expression: str, *, accept_partial: bool = False) -> QueryResult:
        """Return the value of ``expression`` now. Raises :class:`CheckFailed` with one of ``REASONS``.

        Temporary failures are retried: no connection, no answer in time, 429 and 5xx. An incomplete answer is a
        temporary failure too, except with ``accept_partial``.
        """
        pause = FIRST_PAUSE_SECONDS
        for retries_left in range(self._endpoint.retries, -1, -1):
            try:
                result = self._request(expression)
                if result.partial_reason is None or accept_partial:
                    return result
                raise _TemporaryFailure("unavailable", result.partial_reason)
            except _TemporaryFailure as failure:
                if retries_left == 0 or time.monotonic() + pause >= self._deadline:
                    raise CheckFailed(failure.reason, failure.message) from failure.__cause__
            time.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    def _request(self, expression: str) -> QueryResult:
        deadline = min(self._deadline, time.monotonic() + self._endpoint.timeout_seconds)
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0:
            raise CheckFailed("timeout", f"{self._server_name}: the check's time is over")
        try:
            status, body = self._client.fetch(
                self._query_url,
                deadline=deadline,
                max_bytes=MAX_BODY_BYTES + 1,
                headers=self._headers(),
                fields={"query": expression, "timeout": f"{max(1, round(seconds_left * 1000))}ms"},
            )
        except (HTTPError, OSError) as error:
            raise self._failure(error) from error
        except ValueError:  # http.client raises it for an invalid header, with the header's value in its text
            raise CheckFailed("authentication", f"{self._server_name}: the token cannot be sent as a header") from None
        if len(body) > MAX_BODY_BYTES:
            raise CheckFailed("bad_answer", f"{self._server_name}: the response is longer than 8 MiB")
        return self._parse_response(status, body)

    @property
    def _server_name(self) -> str:
        """Return host, port and path prefix of the server for messages, without credentials."""
        return f"{self._target.netloc}{(self._target.path or '').rstrip('/')}"

    @property
    def _query_url(self) -> str:
        path = f"{(self._target.path or '').rstrip('/')}/api/v1/query"
        return Url(self._target.scheme, None, self._target.host, self._target.port, path).url

    def _headers(self) -> dict[str, str]:
        headers = {**USUAL_HEADERS, "Accept": "application/json"}
        endpoint, login = self._endpoint, None
        if endpoint.token is not None:
            headers["Authorization"] = f"Bearer {endpoint.token.get_secret_value().strip()}"
        elif endpoint.username is not None:
            login = f"{endpoint.username}:{endpoint.password.get_secret_value() if endpoint.password else ''}"
        elif self._target.auth:
            login = unquote(self._target.auth)
        if login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        return merged_headers(headers, endpoint.headers)

    def _failure(self, error: Exception) -> CheckFailed:
        failure = http_failure(error, self._server_name, not_http="bad_answer")
        if failure.reason == "bad_answer":
            return CheckFailed("bad_answer", f"{self._server_name}: the response is not HTTP")
        if isinstance(error, SSLError):
            return failure
        return _TemporaryFailure(failure.reason, failure.message)

    def _parse_response(self, status: int, body: bytes) -> QueryResult:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
            content = None
        document = content if isinstance(content, dict) else {}
        if status == 200 and document.get("status") == "success":
            return self._parse_result(document)
        raise self._response_failure(status, document)

    def _response_failure(self, status: int, document: Mapping[str, Any]) -> CheckFailed:
        error_type = document.get("errorType")
        failure_class: type[CheckFailed] = CheckFailed
        if status in (401, 403):
            reason, text = "authentication", f"answered {status}"
        elif error_type in ("timeout", "canceled"):
            failure_class, reason, text = _TemporaryFailure, "timeout", "cancelled the query after its timeout"
        elif error_type == "execution" and str(document.get("error")).startswith("expanding series"):
            # A server that reads series from another server (Thanos, remote read) could not reach it.
            failure_class, reason, text = _TemporaryFailure, "unavailable", f"answered {status}"
        elif error_type in ("bad_data", "execution"):
            reason, text = "bad_query", "rejects the query"
        elif status in (408, 429) or status >= 500:
            failure_class, reason, text = _TemporaryFailure, "unavailable", f"answered {status}"
        elif 300 <= status < 400:
            reason, text = "bad_answer", f"answered {status}: redirects are not followed"
        elif status == 404:
            reason, text = "bad_answer", "answered 404: is the path before /api/v1/query right?"
        else:
            reason, text = "bad_answer", f"answered {status}, which is not a response of the API of Prometheus"
        error = f": {self._redact(document['error'])}" if document.get("error") else ""
        return failure_class(reason, f"{self._server_name} {text}{error}")

    def _parse_result(self, document: Mapping[str, Any]) -> QueryResult:
        try:
            result_type, result = document["data"]["resultType"], document["data"]["result"]
            if result_type == "scalar":
                samples: tuple[QuerySample, ...] = (QuerySample(float(result[1])),)
            elif result_type == "vector":
                if any("histogram" in each for each in result):
                    raise CheckFailed(
                        "bad_query", "the result contains histograms: use histogram_quantile() or a similar function"
                    )
                samples = tuple(QuerySample(float(each["value"][1]), dict(each["metric"])) for each in result)
            else:
                raise CheckFailed("bad_query", f"the result is a {result_type}, not one number for each series")
            warnings = tuple(self._redact(warning) for warning in document.get("warnings") or ())
            # A warning about the query begins with "PromQL ". Any other warning reports missing data.
            data_warnings = [warning for warning in warnings if not warning.startswith("PromQL ")]
        except (LookupError, TypeError, ValueError):
            raise CheckFailed("bad_answer", f"{self._server_name}: the format of the result is unknown") from None
        if not data_warnings and document.get("isPartial") is not True:
            return QueryResult(samples, warnings)
        cause = "; ".join(data_warnings) or "isPartial"
        partial_reason = f"{self._server_name} returned an incomplete answer: {cause}"[:MAX_MESSAGE_CHARACTERS]
        return QueryResult(samples, warnings, partial_reason)

    def _redact(self, text: object) -> str:
        """Return a text from the server in one line, with credentials removed, including those of the request."""
        line = " ".join(str(text).split())
        endpoint = self._endpoint
        secrets = [secret for secret in (endpoint.password, endpoint.token, *endpoint.headers.values()) if secret]
        request_secrets = [*(secret.get_secret_value() for secret in secrets), self._headers().get("Authorization", "")]
        return scrub(hide_secrets(line, request_secrets))[:MAX_MESSAGE_CHARACTERS]


class _TemporaryFailure(CheckFailed):
    """Failure after which another attempt may succeed."""
