"""Who is authorised: the whole table of decisions, and the requests that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monitor.api.access import Access, is_loopback
from monitor.api.pages import Answer
from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.store import MemoryStore
from tests.api.values import check, config, record

LOCAL = {"HTTP_HOST": "localhost:8000", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}
TOKEN = "hush"
RIGHT = f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("caption", "token", "bound_to", "authorization", "origin", "allowed"),
    [
        ("the token, from anywhere", TOKEN, "0.0.0.0", RIGHT, {"HTTP_HOST": "evil.example"}, True),
        ("the token, where nothing is known of the server", TOKEN, None, RIGHT, {}, True),
        ("the scheme in any case", TOKEN, None, f"bearer  {TOKEN} ", {}, True),
        ("a wrong token", TOKEN, "127.0.0.1", "Bearer hus", LOCAL, False),
        ("an empty token", TOKEN, "127.0.0.1", "Bearer ", LOCAL, False),
        ("another scheme", TOKEN, "127.0.0.1", f"Basic {TOKEN}", LOCAL, False),
        ("no token, from this machine, where one is set", TOKEN, "127.0.0.1", "", LOCAL, False),
        ("none is set: from this machine", None, "127.0.0.1", "", LOCAL, True),
        ("none is set: by IPv6", None, "::1", "", LOCAL | {"HTTP_HOST": "[::1]:8000", "REMOTE_ADDR": "::1"}, True),
        ("none is set: without a port", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "LOCALHOST"}, True),
        ("none is set: by number", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "127.0.0.1:1"}, True),
        ("none is set, and a token that nobody asked for", None, "127.0.0.1", RIGHT, LOCAL, True),
        ("none is set: any token, elsewhere", None, "0.0.0.0", RIGHT, LOCAL, False),
        ("none is set: listening to everybody", None, "0.0.0.0", "", LOCAL, False),
        ("none is set: listening to everybody by IPv6", None, "::", "", LOCAL, False),
        ("none is set: somebody else's server", None, None, "", LOCAL, False),
        ("a name that was rebound", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "evil.example:8000"}, False),
        ("a name that looks local", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "localhost.evil.example"}, False),
        ("a name in front", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "evil.example@localhost"}, False),
        ("two names", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "localhost,evil.example"}, False),
        ("an address of the network", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": "10.0.0.7"}, False),
        ("no name", None, "127.0.0.1", "", {"REMOTE_ADDR": "127.0.0.1"}, False),
        ("an empty name", None, "127.0.0.1", "", LOCAL | {"HTTP_HOST": ""}, False),
        ("a client elsewhere", None, "127.0.0.1", "", LOCAL | {"REMOTE_ADDR": "10.0.0.7"}, False),
        ("a client that is not known", None, "127.0.0.1", "", {"HTTP_HOST": "localhost"}, False),
        ("nothing known", None, "127.0.0.1", "", {}, False),
        ("a proxy that says so", None, "127.0.0.1", "", LOCAL | {"HTTP_X_FORWARDED_FOR": "10.0.0.7"}, False),
        ("its scheme only", None, "127.0.0.1", "", LOCAL | {"HTTP_X_FORWARDED_PROTO": "https"}, False),
        ("in the standard's words", None, "127.0.0.1", "", LOCAL | {"HTTP_FORWARDED": "for=10.0.0.7"}, False),
        ("nginx' usual words", None, "127.0.0.1", "", LOCAL | {"HTTP_X_REAL_IP": "10.0.0.7"}, False),
        ("an empty header is one", None, "127.0.0.1", "", LOCAL | {"HTTP_X_FORWARDED_FOR": ""}, False),
        ("a proxy by its version", None, "127.0.0.1", "", LOCAL | {"SERVER_PROTOCOL": "HTTP/1.0"}, False),
        ("a proxy by its version, as granian says it", None, "::1", "", LOCAL | {"SERVER_PROTOCOL": "HTTP/1"}, False),
        ("a version that is not known", None, "::1", "", {**LOCAL, "SERVER_PROTOCOL": None}, False),
        ("a tunnel", None, "127.0.0.1", "", LOCAL | {"HTTP_CF_CONNECTING_IP": "10.0.0.7"}, False),
        ("a cache", None, "127.0.0.1", "", LOCAL | {"HTTP_VIA": "1.1 varnish"}, False),
    ],
)
def test_who_is_authorised(
    caption: str, token: str | None, bound_to: str | None, authorization: str, origin: dict[str, Any], allowed: bool
) -> None:
    """A token where one is set; else nobody but who evidently asks from this machine. Staff always."""
    access = Access(token, bound_to=bound_to)
    assert access.allows(authorization, origin) is allowed, caption
    assert access.allows(authorization, origin, is_staff=True), caption


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"])
def test_addresses_of_this_machine_only(address: str) -> None:
    """In both families, mapped into one another, and by the one name that cannot be given to another machine."""
    assert is_loopback(address)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "10.0.0.7", "::ffff:10.0.0.7", "web-1", "127.0.0.1:80"])
def test_addresses_of_others(address: str | None) -> None:
    """And whatever cannot be read as an address."""
    assert not is_loopback(address)


@pytest.fixture(params=[None, TOKEN], ids=["no token", "token"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service on a loopback address, with and without a token."""
    store = MemoryStore()
    record(store, "database", message="PostgreSQL on db-1")
    service = build(config(check("database"), token=request.param), connect=lambda: store)
    service.probes.access.bound_to = "127.0.0.1"
    service.refresher.read_once()
    yield service
    service.refresher.stop()


def ask(service: Service, what: str, *, allowed: bool = False, **request: Any) -> Answer:
    token = service.config.token
    proof = {"authorization": RIGHT} if token else {"origin": LOCAL}
    name = "database" if what == "checks" else ""
    return service.probes.answer(Target(what, name), **(proof if allowed else {}), **request)


def test_what_is_for_the_authorised_alone(service: Service) -> None:
    """401 and the way to be authorised, before and after somebody else was."""
    for allowed in (False, True, False):
        answer = ask(service, "workers", allowed=allowed)
        assert answer.status == (200 if allowed else 401)
        assert ("WWW-Authenticate" in dict(answer.headers)) is not allowed
    assert dict(answer.headers)["WWW-Authenticate"] == "Bearer"
    assert answer.body == b'{"error":"unauthorized"}'
    assert ask(service, "workers", is_staff=True).status == 200


@pytest.mark.parametrize("what", ["detailed", "checks"])
def test_what_says_more_to_the_authorised(service: Service, what: str) -> None:
    """Everybody gets an answer, and who insists on the whole of it is told to say who they are."""
    for allowed in (False, True, False):
        assert (b"db-1" in ask(service, what, allowed=allowed).body) is allowed
    assert ask(service, what, query="full").status == 401
    assert b"db-1" in ask(service, what, query="full", is_staff=True).body
    assert b"db-1" in ask(service, what, query="full", allowed=True).body


def test_the_answer_that_is_kept_for_everybody_is_nobodys_in_particular(service: Service) -> None:
    """Where a request may be authorised by where it comes from, each is looked at."""
    kept = {what for what in ("live", "ready", "detailed", "workers") if service.probes.public_page(Target(what))}
    assert kept == ({"live", "ready", "detailed"} if service.config.token else {"live", "ready"})
