"""Who is authorised: the whole table of decisions, and the requests that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.api.access import Access, RefusalReason, cookie_name
from monitor.api.pages import ProbeResponse
from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.credentials import signed
from monitor.credentials.used_codes import UsedCodes
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import check, config, record

TOKEN = "hushhushhushhush"
RIGHT = f"Bearer {TOKEN}"
LOCAL = {"HTTP_HOST": "localhost:8000", "REMOTE_ADDR": "127.0.0.1", "SERVER_PORT": "8000"}
OWN_PAGE = {"SERVER_PORT": "8000", "HTTP_SEC_FETCH_SITE": "same-origin"}


def cookie(token: str = TOKEN, *, purpose: str = signed.SESSION, seconds: float = 86_400.0, port: str = "8000") -> str:
    """Return a Cookie header with a session among others."""
    value = signed.sign(token, purpose, seconds)
    return f"theme=dark; {cookie_name({'SERVER_PORT': port})}={value}; csrftoken=x"


@pytest.mark.parametrize(
    ("caption", "token", "authorization", "origin", "allowed"),
    [
        ("the token, from anywhere", TOKEN, RIGHT, {"HTTP_HOST": "evil.example"}, True),
        ("the token, where nothing is known of the request", TOKEN, RIGHT, {}, True),
        ("the scheme in any case", TOKEN, f"bearer  {TOKEN} ", {}, True),
        ("a wrong token", TOKEN, "Bearer hushhushhushhus", LOCAL, False),
        ("an empty token", TOKEN, "Bearer ", LOCAL, False),
        ("another scheme", TOKEN, f"Basic {TOKEN}", LOCAL, False),
        ("a token that is not ASCII", TOKEN, "Bearer h\u00fcsh", LOCAL, False),
        ("nothing, from this machine", TOKEN, "", LOCAL, False),
        ("nothing, from this machine, where no token is set", None, "", LOCAL, False),
        ("any token, where none is set", None, RIGHT, LOCAL, False),
        ("an empty token, where none is set", None, "Bearer ", LOCAL, False),
        ("a session, asked by its own page", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": cookie()}, True),
        (
            "a session, by an address that was typed",
            TOKEN,
            "",
            OWN_PAGE | {"HTTP_COOKIE": cookie(), "HTTP_SEC_FETCH_SITE": "none"},
            True,
        ),
        (
            "a session, asked by another port of the host",
            TOKEN,
            "",
            OWN_PAGE | {"HTTP_COOKIE": cookie(), "HTTP_SEC_FETCH_SITE": "same-site"},
            False,
        ),
        (
            "a session, asked by another site",
            TOKEN,
            "",
            OWN_PAGE | {"HTTP_COOKIE": cookie(), "HTTP_SEC_FETCH_SITE": "cross-site"},
            False,
        ),
        ("a session, by no browser", TOKEN, "", {"SERVER_PORT": "8000", "HTTP_COOKIE": cookie()}, False),
        ("a session of another port", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": cookie(port="9000")}, False),
        ("a session of another token", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": cookie("y" * 16)}, False),
        ("a session that is over", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": cookie(seconds=-1)}, False),
        ("a code in place of a session", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": cookie(purpose=signed.CODE)}, False),
        ("a session, where no token is set", None, "", OWN_PAGE | {"HTTP_COOKIE": cookie()}, False),
        ("a session beside a wrong token", TOKEN, "Bearer no", OWN_PAGE | {"HTTP_COOKIE": cookie()}, False),
        ("a session behind a proxy's password", TOKEN, "Basic YTpi", OWN_PAGE | {"HTTP_COOKIE": cookie()}, True),
        ("cookies of others", TOKEN, "", OWN_PAGE | {"HTTP_COOKIE": "a; =; monitor_session_8000; b=c"}, False),
    ],
)
def test_who_is_authorised(
    caption: str, token: str | None, authorization: str, origin: dict[str, Any], allowed: bool
) -> None:
    """The token, or a session used by the server's own page. Staff always. Nothing else."""
    access = Access(token)
    assert access.allows(authorization, origin) is allowed, caption
    assert access.allows(authorization, origin, is_staff=True), caption


def test_a_code_opens_one_session(tmp_path: Path) -> None:
    """Also when two processes are asked, and after a restart."""
    code = signed.sign(TOKEN, signed.CODE, 60)
    processes = [Access(TOKEN, used_codes=UsedCodes(tmp_path)) for _ in range(2)]
    session = processes[0].open_session(code)
    assert not isinstance(session, RefusalReason)
    assert TOKEN not in session
    assert processes[1].allows("", OWN_PAGE | {"HTTP_COOKIE": f"monitor_session_8000={session}"})
    assert [each.open_session(code) for each in processes] == [RefusalReason.USED] * 2
    assert Access(TOKEN, used_codes=UsedCodes(tmp_path)).open_session(code) is RefusalReason.USED


def test_codes_that_open_nothing(tmp_path: Path) -> None:
    """Each with its reason; none of them is used up."""
    access = Access(TOKEN, used_codes=UsedCodes(tmp_path))
    assert access.open_session(signed.sign(TOKEN, signed.CODE, -1)) is RefusalReason.OVER
    others = [signed.sign("x" * 16, signed.CODE, 60), signed.sign(TOKEN, signed.SESSION, 60)]
    for code in ["", "x", "\u00fc" * 51, "A" * 51, "A" * 5000, *others]:
        assert access.open_session(code) is RefusalReason.NO_CODE
    good = signed.sign(TOKEN, signed.CODE, 60)
    assert Access(None, used_codes=UsedCodes(tmp_path)).open_session(good) is RefusalReason.UNAVAILABLE
    assert Access(TOKEN).open_session(good) is RefusalReason.UNAVAILABLE
    assert Access(TOKEN, used_codes=UsedCodes(tmp_path / "nowhere")).open_session(good) is RefusalReason.UNAVAILABLE
    assert not isinstance(access.open_session(good), RefusalReason)


@pytest.fixture(params=[None, TOKEN], ids=["no token", "token"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service with and without a token."""
    store = MemoryStore()
    record(store, "database", message="PostgreSQL on db-1")
    service = build(config(check("database"), token=request.param), connect=lambda: store)
    service.refresher.read_once()
    yield service
    service.refresher.stop()


def ask(service: Service, what: str, **request: Any) -> ProbeResponse:
    """Ask from this machine, as a browser does."""
    return service.probes.answer(Target(what, "database" if what == "checks" else ""), environ=LOCAL, **request)


def proofs(service: Service) -> list[dict[str, Any]]:
    """Return what authorises a request there."""
    staff: dict[str, Any] = {"is_staff": True}
    return [staff, {"authorization": RIGHT}] if service.config.token else [staff]


def test_what_is_for_the_authorised_alone(service: Service) -> None:
    """401 and the way to be authorised, before and after somebody else was."""
    for proof in proofs(service):
        for more, status in (({}, 401), (proof, 200), ({}, 401)):
            answer = ask(service, "workers", **more)
            assert answer.status == status
            assert ("WWW-Authenticate" in dict(answer.headers)) is (status == 401)
    assert answer.body == b'{"error":"unauthorized"}'
    assert dict(answer.headers)["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("what", ["detailed", "checks"])
def test_what_says_more_to_the_authorised(service: Service, what: str) -> None:
    """Everybody gets an answer, and who insists on the whole of it is told to say who they are."""
    for proof in proofs(service):
        for more, shown in (({}, False), (proof, True), ({}, False)):
            assert (b"db-1" in ask(service, what, **more).body) is shown
        assert b"db-1" in ask(service, what, query="full", **proof).body
    assert ask(service, what, query="full").status == 401


def test_the_answer_that_is_kept_for_everybody(service: Service) -> None:
    """Only of what is for everybody; requests that may prove something are looked at one by one."""
    kept = {what for what in ("live", "ready", "detailed", "workers") if service.probes.public_page(Target(what))}
    assert kept == {"live", "ready", "detailed"}
