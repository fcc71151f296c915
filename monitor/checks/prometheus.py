"""Instant queries to Prometheus, or to whoever speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).

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

MAX_BODY_BYTES = 8 * 1024 * 1024  # some ten thousand series
FIRST_PAUSE_SECONDS = 0.05
MAX_SAID = 300  # characters of a text of the server
REASONS = {
    **NETWORK_REASONS,
    "authentication": "the user, the password or the token is wrong, or may not ask",
    "unavailable": "Prometheus, or a proxy before it, cannot answer just now (429 or 5xx), or only in part",
    "bad_query": "Prometheus refuses the query, or its result is not a number for each series",
    "bad_answer": "the answer is not that of Prometheus' API: a wrong path, a redirect, another server",
}


def _http_url(value: SecretStr) -> SecretStr:
    url = http_url(value.get_secret_value().strip())
    if url is None:
        raise ValueError("write the URL of Prometheus, such as http://prometheus:9090 or https://host/prefix")
    if url.query is not None or url.fragment is not None:
        raise ValueError("write the URL of Prometheus without a query: '/api/v1/query?...' is added to it")
    return value


BaseUrl = Annotated[SecretStr, AfterValidator(_http_url)]
"""Where Prometheus is, with the prefix of its path if it has one. It may hold ``user:password@``."""


@dataclass(frozen=True, slots=True)
class PrometheusEndpoint:
    """Whom to ask and how. A token goes before a user; both go before those of the URL, and ``headers`` before all.

    ``timeout_seconds`` is for one attempt, ``retries`` the number of further ones after a failure that may pass.
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
    """The value of one series, of one instant; of a scalar, without labels. It may be NaN or infinite."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What an expression comes to; no samples when no series fits. ``warnings`` are Prometheus' own, scrubbed.

    ``partial`` says why a part of the data is missing; None when nothing is.
    """

    samples: tuple[QuerySample, ...] = ()
    warnings: tuple[str, ...] = ()
    partial: str | None = None


class Prometheus:
    """A connection for the few queries of one run, which all together take no longer than ``budget_seconds``."""

    def __init__(self, server: PrometheusEndpoint, budget_seconds: float) -> None:
        self._server = server
        self._target = parse_url(server.url.get_secret_value().strip())
        self._deadline = time.monotonic() + budget_seconds
        self._client = HttpClient(verify_tls=server.verify_tls, ca_file=server.ca_file)

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, expression: str, *, partial: bool = False) -> QueryResult:
        """The value of ``expression`` now. Raises :class:`CheckFailed` with one of ``REASONS``.

        Tried again after what may pass: no connection, no answer in time, 429 and 5xx. An answer that lacks a part of
        the data is such a failure, unless the caller accepts a ``partial`` one.
        """
        pause = FIRST_PAUSE_SECONDS
        for left in range(self._server.retries, -1, -1):
            try:
                answer = self._ask(expression)
                if answer.partial is None or partial:
                    return answer
                raise _MayPass("unavailable", answer.partial)
            except _MayPass as failure:
                if left == 0 or time.monotonic() + pause >= self._deadline:
                    raise CheckFailed(failure.reason, failure.message) from failure.__cause__
            time.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    def _ask(self, expression: str) -> QueryResult:
        deadline = min(self._deadline, time.monotonic() + self._server.timeout_seconds)
        patience = deadline - time.monotonic()
        if patience <= 0:
            raise CheckFailed("timeout", f"{self._place}: no time is left to ask")
        try:
            status, body = self._client.fetch(
                self._address,
                deadline=deadline,
                max_bytes=MAX_BODY_BYTES + 1,
                headers=self._headers(),
                fields={"query": expression, "timeout": f"{max(1, round(patience * 1000))}ms"},
            )
        except (HTTPError, OSError) as error:
            raise self._failure(error) from error
        except ValueError:  # what http.client cannot send as a header; its text repeats it
            raise CheckFailed("authentication", f"{self._place}: the token cannot be sent as a header") from None
        if len(body) > MAX_BODY_BYTES:
            raise CheckFailed("bad_answer", f"{self._place}: the answer is longer than 8 MiB")
        return self._understand(status, body)

    @property
    def _place(self) -> str:
        """Whom a message names: host and port, and the prefix of the path."""
        return f"{self._target.netloc}{(self._target.path or '').rstrip('/')}"

    @property
    def _address(self) -> str:
        path = f"{(self._target.path or '').rstrip('/')}/api/v1/query"
        return Url(self._target.scheme, None, self._target.host, self._target.port, path).url

    def _headers(self) -> dict[str, str]:
        headers = {**USUAL_HEADERS, "Accept": "application/json"}
        server, login = self._server, None
        if server.token is not None:
            headers["Authorization"] = f"Bearer {server.token.get_secret_value().strip()}"
        elif server.username is not None:
            login = f"{server.username}:{server.password.get_secret_value() if server.password else ''}"
        elif self._target.auth:
            login = unquote(self._target.auth)
        if login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        return merged_headers(headers, server.headers)

    def _failure(self, error: Exception) -> CheckFailed:
        failure = http_failure(error, self._place, not_http="bad_answer")
        if failure.reason == "bad_answer":
            return CheckFailed("bad_answer", f"{self._place}: the answer is not HTTP")
        if isinstance(error, SSLError):
            return failure
        return _MayPass(failure.reason, failure.message)

    def _understand(self, status: int, body: bytes) -> QueryResult:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):  # not JSON, not UTF-8, too deep to be ours
            document = None
        said = document if isinstance(document, dict) else {}
        if status == 200 and said.get("status") == "success":
            return self._answer(said)
        raise self._refusal(status, said)

    def _refusal(self, status: int, said: Mapping[str, Any]) -> CheckFailed:
        sort: type[CheckFailed] = CheckFailed
        if status in (401, 403):
            reason, text = "authentication", f"answered {status}"
        elif said.get("errorType") in ("timeout", "canceled"):
            sort, reason, text = _MayPass, "timeout", "gave up on the query"
        elif said.get("errorType") == "execution" and str(said.get("error")).startswith("expanding series"):
            # Whoever reads its series from elsewhere (Thanos, remote read) could not reach it: no fault of the query.
            sort, reason, text = _MayPass, "unavailable", f"answered {status}"
        elif said.get("errorType") in ("bad_data", "execution"):
            reason, text = "bad_query", "refuses the query"
        elif status in (408, 429) or status >= 500:
            sort, reason, text = _MayPass, "unavailable", f"answered {status}"
        elif 300 <= status < 400:
            reason, text = "bad_answer", f"answered {status}: redirects are not followed"
        elif status == 404:
            reason, text = "bad_answer", "answered 404: is the path before /api/v1/query right?"
        else:
            reason, text = "bad_answer", f"answered {status}, and not as Prometheus does"
        words = f": {self._clean(said['error'])}" if said.get("error") else ""
        return sort(reason, f"{self._place} {text}{words}")

    def _answer(self, said: Mapping[str, Any]) -> QueryResult:
        try:
            sort, result = said["data"]["resultType"], said["data"]["result"]
            if sort == "scalar":
                samples: tuple[QuerySample, ...] = (QuerySample(float(result[1])),)
            elif sort == "vector":
                if any("histogram" in each for each in result):
                    raise CheckFailed("bad_query", "the query gives histograms: use histogram_quantile(), or the like")
                samples = tuple(QuerySample(float(each["value"][1]), dict(each["metric"])) for each in result)
            else:
                raise CheckFailed("bad_query", f"the query gives a {sort}, not a number for each series")
            notes = tuple(self._clean(note) for note in said.get("warnings") or ())
            missing = [note for note in notes if not note.startswith("PromQL ")]  # of the query, not of the data
        except (LookupError, TypeError, ValueError):
            raise CheckFailed("bad_answer", f"{self._place}: the result is not as Prometheus writes it") from None
        if not missing and said.get("isPartial") is not True:
            return QueryResult(samples, notes)
        why = "; ".join(missing) or "isPartial"
        return QueryResult(samples, notes, f"{self._place} answered with a part of the data only: {why}"[:MAX_SAID])

    def _clean(self, text: object) -> str:
        """A text of the server without credentials; ours neither, should it repeat them."""
        words = " ".join(str(text).split())
        server = self._server
        secrets = [secret for secret in (server.password, server.token, *server.headers.values()) if secret]
        ours = [secret.get_secret_value() for secret in secrets]
        return scrub(hide_secrets(words, [*ours, self._headers().get("Authorization", "")]))[:MAX_SAID]


class _MayPass(CheckFailed):
    """A failure after which another attempt is worth its time."""
