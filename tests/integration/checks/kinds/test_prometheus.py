"""The kind that asks a Prometheus: against a real one, and against what may stand in its place."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from monitor.checks.base import CheckFailed, Kind
from monitor.checks.prometheus import Prometheus, PrometheusEndpoint
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Past, Status
from tests.support.faults import FaultProxy
from tests.support.processes import free_port
from tests.support.prometheus_server import PrometheusServer, StartPrometheus

FIVE = b'{"status":"success","data":{"resultType":"scalar","result":[1,"5"]}}'
# "swordfish", for the user "monitor"
USERS = "basic_auth_users:\n  monitor: $2b$04$cH2R3U7VNyME8cUybw2/a.ehOsQE4Z9Wj2lSoIs.a2jR86aW2iI.u\n"
Serve = Callable[[Callable[[socket.socket], None]], int]
SEVERAL = 'label_replace(vector(7), "host", "b", "", "") or label_replace(vector(2), "host", "a", "", "")'


@pytest.fixture(scope="module")
def server() -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes nothing: PromQL has numbers of its own."""
    server = PrometheusServer()
    yield server
    server.stop()


def kind(server: PrometheusServer | str, query: str = "vector(5)", **options: Any) -> Kind:
    url = server if isinstance(server, str) else server.url
    return KINDS.build("prometheus", {"url": url, "query": query, **options})


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


def heard_by(client: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard and (piece := client.recv(65536)):
        heard += piece
    return heard


def saying(status: str, body: bytes, headers: str = "", heard: list[bytes] | None = None) -> Any:
    """A server that hears a request and says this, once for each connection."""

    def speak(client: socket.socket) -> None:
        request = heard_by(client)
        if heard is not None:
            heard.append(request)
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        client.sendall(head.encode() + body)

    return speak


def vector(sample: bytes) -> bytes:
    return b'{"status":"success","data":{"resultType":"vector","result":[%s]}}' % sample


@pytest.mark.parametrize(
    ("query", "options", "expected", "value"),
    [
        pytest.param("vector(5)", {}, (Status.OK, None), 5, id="any number is fine without thresholds"),
        pytest.param("scalar(vector(5))", {"error_above": 4}, (Status.ERROR, "above_threshold"), 5, id="a scalar"),
        pytest.param("vector(5)", {"error_above": 5}, (Status.OK, None), 5, id="a threshold itself is fine"),
        pytest.param(
            "vector(5)",
            {"warning_above": 4, "error_above": 6},
            (Status.WARNING, "above_threshold"),
            5,
            id="between",
        ),
        pytest.param("vector(5)", {"warning_below": 6}, (Status.WARNING, "below_threshold"), 5, id="below"),
        pytest.param(
            "vector(5)",
            {"warning_below": 9, "error_below": 6},
            (Status.ERROR, "below_threshold"),
            5,
            id="far below",
        ),
        pytest.param(SEVERAL, {"error_above": 3}, (Status.ERROR, "above_threshold"), 7, id="the highest of several"),
        pytest.param(SEVERAL, {"error_below": 3}, (Status.ERROR, "below_threshold"), 2, id="the lowest of several"),
        pytest.param(
            SEVERAL,
            {"warning_above": 6, "error_below": 3},
            (Status.ERROR, "below_threshold"),
            2,
            id="error first",
        ),
        pytest.param("1 / 0", {"error_above": 4}, (Status.ERROR, "above_threshold"), None, id="infinitely much"),
        pytest.param("-1 / 0", {"error_above": 4}, (Status.OK, None), None, id="infinitely little"),
        pytest.param("0 / 0", {"error_above": 4}, (Status.UNKNOWN, "no_data"), None, id="NaN is no number"),
        pytest.param("vector(1) == 0", {}, (Status.UNKNOWN, "no_data"), None, id="empty"),
        pytest.param("vector(1) == 0", {"on_empty": "ok"}, (Status.OK, None), None, id="empty, as it should be"),
        pytest.param("vector(1) == 0", {"on_empty": "error"}, (Status.ERROR, "no_data"), None, id="empty is bad"),
        pytest.param("up[5m]", {}, (Status.ERROR, "bad_query"), None, id="a range"),
        pytest.param('"five"', {}, (Status.ERROR, "bad_query"), None, id="a text"),
        pytest.param("sum(", {}, (Status.ERROR, "bad_query"), None, id="no PromQL"),
        pytest.param("no_such_function(1)", {}, (Status.ERROR, "bad_query"), None, id="no such function"),
    ],
)
def test_what_a_query_comes_to(
    server: PrometheusServer,
    query: str,
    options: dict[str, Any],
    expected: tuple[Status, str | None],
    value: float | None,
) -> None:
    """A real Prometheus' answers, judged."""
    outcome = kind(server, query, **options).run(10.0)
    assert verdict(outcome) == expected
    assert outcome.data.get("value") == value
    json.dumps([outcome.data, outcome.detail], allow_nan=False)


def test_several_series_and_which_of_them(server: PrometheusServer) -> None:
    """Labels are for those who may read them: the message and the detail, not the data."""
    outcome = kind(server, SEVERAL, error_above=3).run(10.0)
    assert outcome.message == '{host="b"} is 7, above 3 (1 of 2 series)'
    assert outcome.data == {"series": 2, "failing": 1, "value": 7}
    assert [each["labels"] for each in outcome.detail["series"]] == ['{host="b"}', '{host="a"}']


def test_what_prometheus_says_of_a_wrong_query(server: PrometheusServer) -> None:
    """Its own words, without what may be a credential in them."""
    outcome = kind(server, 'sum(up{password="swordfish"}').run(10.0)
    assert verdict(outcome) == (Status.ERROR, "bad_query")
    assert "parse error" in str(outcome.message)
    assert "swordfish" not in str(outcome.message)


def test_a_wrong_path_is_not_prometheus(server: PrometheusServer) -> None:
    """What answers there is told from what does not answer."""
    outcome = kind(f"{server.url}/no/such/prefix").run(10.0)
    assert verdict(outcome) == (Status.ERROR, "bad_answer")
    assert outcome.message is not None and "404" in outcome.message


def test_what_is_asked_and_where(serve: Serve) -> None:
    """Under the prefix of the path, with or without a slash at its end; the token in a header, never in the address."""
    heard: list[bytes] = []
    port = serve(saying("200 OK", FIVE, heard=heard))
    for prefix in ("/metrics/one", "/metrics/one/"):
        check = kind(f"http://127.0.0.1:{port}{prefix}", "sum(a) + 1", token=" swordfish\n", attempt_timeout=1.2)
        assert check.run(10.0).data["value"] == 5
    for request in heard:
        assert request.startswith(b"GET /metrics/one/api/v1/query?query=sum%28a%29+%2B+1&timeout=1200ms HTTP/1.1\r\n")
        assert b"Authorization: Bearer swordfish\r\n" in request


def test_killed_restarted_and_frozen(start_prometheus: StartPrometheus) -> None:
    """Each by its name, in time, and fine again afterwards."""
    server = start_prometheus()
    check = kind(server, attempt_timeout=0.3, retries=1)
    server.kill()
    assert verdict(check.run(5.0)) == (Status.ERROR, "refused")
    server.start()
    assert check.run(5.0).status is Status.OK
    server.freeze()
    started = time.monotonic()
    assert verdict(check.run(5.0)) == (Status.ERROR, "timeout")
    assert 0.6 <= time.monotonic() - started < 3, "two attempts"
    server.thaw()
    assert check.run(5.0).status is Status.OK


def test_all_attempts_together_end_in_time(start_prometheus: StartPrometheus) -> None:
    """Ten attempts of two seconds do not outlast a check of one."""
    server = start_prometheus()
    server.freeze()
    started = time.monotonic()
    assert verdict(kind(server, attempt_timeout=2, retries=10).run(1.0)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 3


def test_a_failure_that_may_pass_is_tried_again(serve: Serve) -> None:
    """What is starting up is asked again; what wants another password is not."""
    heard: list[bytes] = []

    def starting(client: socket.socket) -> None:
        ready = len(heard) == 2
        status, body = ("200 OK", FIVE) if ready else ("503 Service Unavailable", b"Service Unavailable")
        saying(status, body, heard=heard)(client)

    port = serve(starting)
    assert verdict(kind(f"http://127.0.0.1:{port}", retries=1).run(10.0)) == (Status.ERROR, "unavailable")
    assert kind(f"http://127.0.0.1:{port}", retries=0).run(10.0).status is Status.OK
    heard.clear()
    port = serve(saying("403 Forbidden", b"", heard=heard))
    assert verdict(kind(f"http://127.0.0.1:{port}", retries=2).run(10.0)) == (Status.ERROR, "authentication")
    assert len(heard) == 1


def test_failures_of_the_network(server: PrometheusServer, fault_proxy: Callable[[str, int], FaultProxy]) -> None:
    """Black hole, reset, closed port and no such name, each by its name; and fine again afterwards."""
    proxy = fault_proxy("127.0.0.1", server.port)
    check = kind(f"http://127.0.0.1:{proxy.port}", attempt_timeout=0.3, retries=1)
    for mode, expected in (("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")):
        proxy.set(mode, cut=True)
        assert verdict(check.run(10.0)) == (Status.ERROR, expected)
    proxy.set("ok")
    assert kind(f"http://127.0.0.1:{proxy.port}").run(10.0).status is Status.OK
    assert verdict(kind("http://no-such-host.invalid").run(10.0)) == (Status.ERROR, "name_resolution")


def test_a_slow_drip_ends_in_time(serve: Serve) -> None:
    """An answer of which a byte comes now and then never meets a socket's timeout."""

    def drip(client: socket.socket) -> None:
        heard_by(client)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            client.sendall(b" ")
            time.sleep(0.02)

    started = time.monotonic()
    check = kind(f"http://127.0.0.1:{serve(drip)}", attempt_timeout=0.2, retries=1)
    assert verdict(check.run(10.0)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 3


def test_a_password(start_prometheus: StartPrometheus, tmp_path: Path) -> None:
    """As options or in the address; a wrong one or none is said as such, and never shown."""
    (tmp_path / "web.yml").write_text(USERS)
    locked = start_prometheus(flags=[f"--web.config.file={tmp_path}/web.yml"])
    assert kind(locked, username="monitor", password="swordfish").run(10.0).status is Status.OK
    assert kind(locked.url.replace("//", "//monitor:swordfish@")).run(10.0).status is Status.OK
    for options in ({}, {"username": "monitor", "password": "sardine"}, {"token": "sardine"}):
        outcome = kind(locked, **options).run(10.0)
        assert verdict(outcome) == (Status.ERROR, "authentication")
        assert "sardine" not in str(outcome)


def test_credentials_do_not_follow_a_redirect(serve: Serve) -> None:
    """Whoever is named by a redirect gets no request, and so no token."""
    heard: list[bytes] = []
    elsewhere = serve(saying("200 OK", FIVE, heard=heard))
    port = serve(saying("302 Found", b"", f"Location: http://127.0.0.1:{elsewhere}/api/v1/query\r\n"))
    outcome = kind(f"http://127.0.0.1:{port}", token="swordfish").run(10.0)
    assert verdict(outcome) == (Status.ERROR, "bad_answer")
    assert "redirects are not followed" in str(outcome.message)
    assert heard == []


def test_tls(serve: Serve, certificate: Path) -> None:
    """A certificate that nobody trusts is not fine, unless its CA is named or it is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def speak(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            saying("200 OK", FIVE)(secured)

    url = f"https://127.0.0.1:{serve(speak)}"
    assert verdict(kind(url).run(10.0)) == (Status.ERROR, "tls")
    assert verdict(kind(url, ca_file="/no/such/file").run(10.0)) == (Status.ERROR, "tls")
    assert kind(url, ca_file=str(certificate)).run(10.0).status is Status.OK
    assert kind(url, verify_tls=False).run(10.0).status is Status.OK


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("200 OK", b"<html>a login page</html>", "bad_answer"),
        ("200 OK", b'{"status":"success"}', "bad_answer"),
        ("200 OK", vector(b'{"metric":{}}'), "bad_answer"),
        ("200 OK", vector(b'{"metric":{},"value":[1,"x"]}'), "bad_answer"),
        ("200 OK", vector(b'{"metric":{},"histogram":[1,{}]}'), "bad_query"),
        ("200 OK", b"[" * 100_000, "bad_answer"),
        ("200 OK", b" " * 9_000_000, "bad_answer"),
        ("200 OK", b"\xff\xfe", "bad_answer"),
        ("204 No Content", b"", "bad_answer"),
        ("503 Unavailable", b'{"status":"error","errorType":"timeout","error":"query timed out"}', "timeout"),
        ("422 Unprocessable", b'{"status":"error","errorType":"execution","error":"too many samples"}', "bad_query"),
        ("422 Unprocessable", b'{"status":"error","errorType":"execution","error":"expanding series"}', "unavailable"),
        ("429 Too Many Requests", b"", "unavailable"),
    ],
)  # fmt: skip
def test_answers_of_something_else(serve: Serve, status: str, body: bytes, expected: str) -> None:
    """What is not an answer of Prometheus is told from its refusals; nothing raises."""
    outcome = kind(f"http://127.0.0.1:{serve(saying(status, body))}", retries=0).run(10.0)
    assert verdict(outcome) == (Status.ERROR, expected)


def test_what_is_no_http(serve: Serve) -> None:
    """A server that speaks first and something else."""
    port = serve(lambda client: client.sendall(b"220 mail\r\n"))
    assert verdict(kind(f"http://127.0.0.1:{port}").run(10.0)) == (Status.ERROR, "bad_answer")


def test_our_own_secret_said_back_is_not_shown(serve: Serve) -> None:
    """Some proxies repeat what they were told."""
    body = b'{"status":"error","errorType":"bad_data","error":"no tenant for Bearer sword-fish, nor for sword-fish"}'
    outcome = kind(f"http://127.0.0.1:{serve(saying('400 Bad Request', body))}", token="sword-fish").run(10.0)
    assert verdict(outcome) == (Status.ERROR, "bad_query")
    assert "no tenant" in str(outcome.message)
    assert "fish" not in str(outcome)


EMPTY, ONE = b"", b'{"metric":{"cluster":"a"},"value":[1,"1"]}'
THANOS = b'"warnings":["receive series from store-eu:10901: rpc error: code = Unavailable"]'
VICTORIA_METRICS = b'"isPartial":true'


def partial(sample: bytes, mark: bytes) -> bytes:
    return vector(sample).replace(b'"success",', b'"success",' + mark + b",")


@pytest.mark.parametrize("mark", [THANOS, VICTORIA_METRICS], ids=["Thanos", "VictoriaMetrics"])
@pytest.mark.parametrize(
    ("sample", "options", "expected"),
    [
        pytest.param(EMPTY, {"on_empty": "ok"}, "unavailable", id="nothing, where that is ok"),
        pytest.param(EMPTY, {}, "unavailable", id="nothing"),
        pytest.param(ONE, {"error_below": 1}, "unavailable", id="a number that is ok"),
        pytest.param(ONE, {"error_above": 0}, "above_threshold", id="a number that is not"),
    ],
)
def test_a_partial_answer_is_never_ok(
    mark: bytes, sample: bytes, options: dict[str, Any], expected: str, serve: Serve
) -> None:
    """What is missing may be what fails: an error in each case, and a public note that names no host."""
    url = f"http://127.0.0.1:{serve(saying('200 OK', partial(sample, mark)))}"
    outcome = kind(url, **options).run(10.0)
    assert verdict(outcome) == (Status.ERROR, expected)
    assert outcome.data["note"] == "the answer is incomplete: some data is missing"
    assert "store-eu" not in str(outcome.data)
    if expected == "unavailable":
        assert "incomplete answer" in str(outcome.message)


def test_a_partial_answer_may_be_held_like_no_answer(serve: Serve) -> None:
    """With `on_source_failure = "hold"`: the last verdict, and a note; unknown when there has been none."""
    whole = f"http://127.0.0.1:{serve(saying('200 OK', vector(ONE)))}"
    before = kind(whole, on_source_failure="hold").run(10.0, Past(100.0))
    url = f"http://127.0.0.1:{serve(saying('200 OK', partial(ONE, THANOS)))}"
    held = kind(url, on_source_failure="hold").run(10.0, Past(110.0, before.memory))
    assert verdict(held) == (Status.OK, None)
    assert held.data["note"] == "the last verdict is held: unavailable"
    assert verdict(kind(url, on_source_failure="hold").run(10.0, Past(100.0))) == (Status.UNKNOWN, "unavailable")


def test_a_remark_on_the_query_is_no_partial_answer(serve: Serve) -> None:
    """Prometheus warns of odd queries in the same field: for those who may read it."""
    body = partial(ONE, b'"warnings":["PromQL warning: encountered a mix of histograms and floats"]')
    outcome = kind(f"http://127.0.0.1:{serve(saying('200 OK', body))}").run(10.0)
    assert outcome.status is Status.OK
    assert outcome.detail["warnings"] == ["PromQL warning: encountered a mix of histograms and floats"]


def test_headers_of_a_tenant(serve: Serve) -> None:
    """They are sent, win over ours whatever their case, and are not shown even where the server repeats them."""
    heard: list[bytes] = []
    body = b'{"status":"error","errorType":"bad_data","error":"no tenant 7 nor shop-eu among 17"}'
    url = f"http://127.0.0.1:{serve(saying('400 Bad Request', body, heard=heard))}"
    headers = {"X-Scope-OrgID": "shop-eu", "X-Shard": "7", "accept": "text/plain"}
    check = kind(url, headers=headers)
    outcome = check.run(10.0)
    assert b"\r\nX-Scope-OrgID: shop-eu\r\n" in heard[0]
    assert b"accept: text/plain\r\n" in heard[0]
    assert b"application/json" not in heard[0]
    assert "no tenant *** nor *** among 17" in str(outcome.message)
    assert "shop-eu" not in f"{check!r} {outcome!r}"


@pytest.mark.parametrize("headers", [{"X Y": "a"}, {"X": "a\r\nY: b"}, {"X": "日"}])
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    """They are refused with the configuration, without their values."""
    with pytest.raises(ValidationError, match="headers") as caught:
        kind("http://127.0.0.1:9", headers=headers)
    assert "Y: b" not in str(caught.value)


def test_a_verdict_is_held(start_prometheus: StartPrometheus) -> None:
    """Unknown at first; then for a while what was found last, whatever that was, and how old it is; a note says so."""
    server = start_prometheus()
    check = kind(server, "vector(5)", error_above=4, on_source_failure="hold", hold_for="2m")
    server.kill()
    outcome = check.run(5.0, Past(100.0))
    assert (verdict(outcome), outcome.held) == ((Status.UNKNOWN, "refused"), False)
    assert outcome.data == {"note": "no verdict to hold: refused"}
    assert outcome.memory is None
    server.start()
    found = check.run(5.0, Past(200.0, outcome.memory))
    assert (verdict(found), found.held) == ((Status.ERROR, "above_threshold"), False)
    server.kill()
    for now in (260.0, 320.0):
        held = check.run(5.0, Past(now, found.memory))
        assert (verdict(held), held.held) == ((Status.ERROR, "above_threshold"), True)
        note = {"note": "the last verdict is held: refused", "held_seconds": now - 200}
        assert held.data == {**found.data, **note}
        assert str(held.message).startswith("the value is 5, above 4; 127.0.0.1:")
        assert held.memory is None, "what is held does not become younger by it"
    old = check.run(5.0, Past(320.1, found.memory))
    assert (verdict(old), old.held, "value" in old.data) == ((Status.UNKNOWN, "refused"), False, False)
    for memory in ("", "{", "[]", '{"status":"purple","at":1,"data":{},"reason":null,"message":null}'):
        assert verdict(check.run(5.0, Past(300.0, memory))) == (Status.UNKNOWN, "refused")


def test_a_verdict_that_is_held_for_ever() -> None:
    """It is kept for five minutes; then, and before the first one, it is unknown and fails nothing."""
    check = kind(f"http://127.0.0.1:{free_port()}", on_source_failure="hold", hold_for="forever")
    memory = '{"at":200.0,"status":"error","reason":"above_threshold","message":null,"data":{"value":5}}'
    seen = [check.run(5.0, Past(now, memory)) for now in (500.0, 500.1, 90_000.0)]
    assert [each.status for each in seen] == [Status.ERROR, Status.UNKNOWN, Status.UNKNOWN]
    assert all(each.held for each in (*seen, check.run(5.0, Past(100.0))))


def test_no_data_may_be_held_too(server: PrometheusServer) -> None:
    """A gap in the series keeps the last verdict; a query that is wrong is never held."""
    options = {"error_above": 4, "on_empty": "hold", "on_source_failure": "hold"}
    found = kind(server, "vector(5)", **options).run(5.0, Past(100.0))
    held = kind(server, "vector(5) > 9", **options).run(5.0, Past(130.0, found.memory))
    assert verdict(held) == (Status.ERROR, "above_threshold")
    assert (held.data["note"], held.data["held_seconds"]) == ("the last verdict is held: no_data", 30)
    wrong = kind(server, "vector(", **options).run(5.0, Past(130.0, found.memory))
    assert verdict(wrong) == (Status.ERROR, "bad_query")


@pytest.mark.parametrize(
    "options",
    [
        {"url": "prometheus:9090"},
        {"url": "ftp://prometheus"},
        {"url": "http://"},
        {"url": "http://prometheus:9090/api/v1/query?query=up"},
        {"query": ""},
        {"warning_above": 5, "error_above": 5},
        {"warning_below": 1, "error_below": 2},
        {"error_above": float("nan")},
        {"password": "swordfish"},
        {"retries": -1},
        {"on_empty": "warning"},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    """Said before anything runs, and without what may be a password."""
    with pytest.raises(ValidationError) as caught:
        KINDS.build("prometheus", {"url": "http://user:swordfish@prometheus", "query": "up", **options})
    assert "swordfish" not in str(caught.value)


def test_several_queries_of_one_run_share_its_time(start_prometheus: StartPrometheus) -> None:
    """The second query has what the first has left."""
    server = start_prometheus()
    with Prometheus(PrometheusEndpoint(SecretStr(server.url), timeout_seconds=5, retries=0), 0.5) as prometheus:
        assert prometheus.query("vector(5)").samples[0].value == 5
        server.freeze()
        started = time.monotonic()
        for _ in range(3):
            with pytest.raises(CheckFailed) as caught:
                prometheus.query("vector(5)")
            assert caught.value.reason == "timeout"
        assert time.monotonic() - started < 2
