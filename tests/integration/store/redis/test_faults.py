"""A server that is frozen, killed, full, flushed or elsewhere: calls end in time, and nothing is half done."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from threading import Thread

import pytest

from monitor.model.checks import State, Status, Transition, Window
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.store import RedisStore
from tests.support.builders.values import becoming, check, run, state_of
from tests.support.processes import free_port, missing, wait_for
from tests.support.redis_server import BINARIES, RedisServer, StartRedis


@pytest.fixture(params=BINARIES)
def own_server(request: pytest.FixtureRequest, start_redis: StartRedis) -> RedisServer:
    """A server that a test may break."""
    return start_redis(binary=request.param)


def test_a_frozen_server_costs_a_reader_its_timeout(own_server: RedisServer) -> None:
    """On an open connection and on a new one, and no more than once."""
    store = RedisStore(own_server.url, timeout_seconds=0.1, retries=False)
    cursor = store.states.changes(None).cursor
    own_server.freeze()
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.states.changes(cursor)
        assert time.monotonic() - started < 0.5
    own_server.thaw()
    assert store.states.changes(cursor).states == {}


def test_a_frozen_server_costs_a_writer_a_bounded_time(own_server: RedisServer) -> None:
    """Its retries end after three times the timeout."""
    store = RedisStore(own_server.url, timeout_seconds=0.2)
    store.states.now()
    own_server.freeze()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.states.take("db", "run-1", lease_seconds=5)
    assert time.monotonic() - started < 0.2 * 3 + 0.5


def test_a_flight_that_could_not_be_released_does_not_hold_up_the_next(own_server: RedisServer) -> None:
    """A server that was frozen comes back with the flight, whose lease is long."""
    store = RedisStore(own_server.url, timeout_seconds=0.2)
    flight = store.states.take("db", "run-1", lease_seconds=600)
    own_server.freeze()
    with pytest.raises(StoreUnavailable):
        store.states.release(flight)
    own_server.thaw()
    assert store.states.take("db", "run-2", lease_seconds=5).run_id == "run-2"


def test_nobody_listens() -> None:
    """A refused connection is a StoreUnavailable, at once for a reader."""
    store = RedisStore(f"redis://127.0.0.1:{free_port()}/0", timeout_seconds=0.2, retries=False)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.states.changes(None)
    assert time.monotonic() - started < 0.5


def test_a_lost_answer_is_asked_for_again(own_server: RedisServer) -> None:
    """The server was frozen with our update in its buffer: it applies it, we ask again, and it is there once."""
    store = RedisStore(own_server.url, timeout_seconds=0.1, retries=False)
    flight = store.states.take("db", "run-1", lease_seconds=30)
    store.states.update(flight, becoming(flight))
    flight = store.states.take("db", "run-2", lease_seconds=30)
    own_server.freeze()
    with pytest.raises(StoreUnavailable):
        store.states.update(flight, becoming(flight, "error"))
    own_server.thaw()
    made = store.states.update(flight, becoming(flight, "error"))
    assert [(t.old, t.new) for t in made] == [(Status.OK, Status.ERROR)]
    assert [t for _, t in store.states.transitions()][1:] == list(made)


def test_a_window_whose_answer_was_lost(own_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same claim, sent again within the call, gets the window that its first attempt has claimed."""
    store = RedisStore(own_server.url, timeout_seconds=0.3)
    first = store.states.claim_window("a")
    sent, windows = list[float](), list[Window | None]()
    execute = store._connection._execute
    monkeypatch.setattr(
        store._connection, "_execute", lambda *command: (sent.append(time.monotonic()), execute(*command))[1]
    )
    own_server.freeze()
    claim = Thread(target=lambda: windows.append(store.states.claim_window("a", at_least_seconds=0.2)))
    claim.start()
    wait_for(lambda: len(sent) == 2, what="the second attempt")
    own_server.thaw()
    claim.join()
    assert first is not None
    assert windows[0] is not None
    assert windows[0].since == pytest.approx(first.until, abs=1e-6)


def test_a_writer_rides_out_a_restart(own_server: RedisServer) -> None:
    """A connection that was reset is replaced within the call; the server being empty is another matter."""
    store = RedisStore(own_server.url)
    run(store, "db")
    own_server.restart()
    assert run(store, "db")[0].old is Status.UNKNOWN


def test_an_empty_server_starts_a_new_life(own_server: RedisServer) -> None:
    """Readers start anew; tokens and transition ids go on above what was ever used."""
    store = RedisStore(own_server.url)
    last = [run(store, "db", status)[0] for status in ("ok", "error", "ok", "error")][-1]
    token, cursor = store.states.take("web", "run-1", lease_seconds=5).token, store.states.changes(None).cursor
    own_server.restart()
    told = store.states.changes(cursor)
    assert (told.full, told.states) == (True, {})
    assert store.states.take("web", "run-2", lease_seconds=5).token > token
    run(store, "db")
    told = store.states.changes(cursor)
    assert (told.full, set(told.states)) == (True, {"db"})
    assert [t.sequence > last.sequence for _, t in store.states.transitions()] == [True]


def test_a_reader_ahead_of_the_store_starts_anew(own_server: RedisServer) -> None:
    """After a fail-over that lost writes the cursor is ahead of the log: everything is told again."""
    store = RedisStore(own_server.url)
    run(store, "db")
    epoch, _, change = store.states.changes(None).cursor.partition(":")
    told = store.states.changes(f"{epoch}:{int(change) + 1}")
    assert told.full
    assert set(told.states) == {"db"}


def test_a_change_log_that_was_evicted(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """What it would have told is told by starting anew."""
    run(redis_store, "db")
    cursor = redis_store.states.changes(None).cursor
    run(redis_store, "web")
    with server.client() as client:
        client.delete(f"{key_prefix}changed")
    run(redis_store, "db")
    assert set(redis_store.states.changes(cursor).states) == {"db", "web"}


def test_a_full_server_is_read_and_not_half_written(own_server: RedisServer) -> None:
    """A refused update leaves everything as it was, and is taken up again when there is room."""
    store = RedisStore(own_server.url)
    run(store, "db")
    flight, before = store.states.take("db", "run-2", lease_seconds=30), store.states.changes(None)
    with own_server.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match=r"OOM|OutOfMemory"):
            store.states.update(flight, becoming(flight, "error"))
        assert (store.states.changes(None).states, store.states.changes(None).cursor) == (before.states, before.cursor)
        assert len(store.states.transitions()) == 1
        client.config_set("maxmemory", 0)
    assert len(store.states.update(flight, becoming(flight, "error"))) == 1


def test_a_server_that_forgot_the_scripts(redis_store: RedisStore, server: RedisServer) -> None:
    """They are sent again."""
    run(redis_store, "db")
    with server.client() as client:
        client.script_flush()
    run(redis_store, "db", "error")
    assert len(redis_store.states.transitions()) == 2


def test_a_run_is_two_round_trips(own_server: RedisServer) -> None:
    """Take brings the state along, so that update need not read it; connecting costs no greeting."""
    with own_server.client() as client:
        run(RedisStore(own_server.url), "db")  # the server learns the scripts
        before = client.info("commandstats")
        run(RedisStore(own_server.url), "db")
        after = client.info("commandstats")
    sent = ("evalsha", "eval", "client|setinfo", "hello", "select", "ping")
    calls = {c: after.get(f"cmdstat_{c}", {"calls": 0})["calls"] for c in sent}
    calls_before = {c: before.get(f"cmdstat_{c}", {"calls": 0})["calls"] for c in sent}
    connecting = {"client|setinfo": 0, "hello": 0, "select": 0, "ping": 0}
    assert {c: calls[c] - calls_before[c] for c in sent} == {"evalsha": 2, "eval": 0, **connecting}


def test_changes_cost_what_has_changed(own_server: RedisServer) -> None:
    """Of 300 states, three were written: three are looked at."""
    store = RedisStore(own_server.url)
    for number in range(300):
        run(store, f"check-{number}")
    cursor = store.states.changes(None).cursor
    for number in (7, 8, 9):
        run(store, f"check-{number}", "error")
    with own_server.client() as client:
        before = client.info("commandstats")["cmdstat_hstrlen"]["calls"]
        assert set(store.states.changes(cursor).states) == {"check-7", "check-8", "check-9"}
        assert client.info("commandstats")["cmdstat_hstrlen"]["calls"] - before == 3 + 2  # and two of meta


def test_many_survive_a_change_by_somebody_else(redis_store: RedisStore, server: RedisServer, key_prefix: str) -> None:
    """What changed between reading and writing is read again; the others are not held up by it."""
    flight = redis_store.states.take("workers", "round-1", lease_seconds=5)
    meddler = RedisStore(server.url, prefix=key_prefix)
    reducers = {name: becoming(flight, "error", check(name)) for name in ("worker:a", "worker:b")}
    meddled: list[str] = []

    def meddling(state: State | None) -> tuple[State, tuple[Transition, ...]]:
        if not meddled:
            meddled.append("once")
            run(meddler, "worker:b")
        return reducers["worker:b"](state)

    made = redis_store.states.update_many(flight, {"worker:a": reducers["worker:a"], "worker:b": meddling})
    assert [(found.old, found.new) for found in made["worker:b"]] == [(Status.OK, Status.ERROR)]
    assert len(made["worker:a"]) == 1


def test_a_forked_process_has_its_own_connection(redis_store: RedisStore) -> None:
    """Parent and child use the same store object at once; each gets its own answers."""
    run(redis_store, "parent")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if _runs_right(redis_store, "child") else 1
        finally:
            os._exit(code)
    assert _runs_right(redis_store, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_by_unix_socket(server: RedisServer, key_prefix: str) -> None:
    """The embedded server listens on nothing else."""
    store = RedisStore(server.unix_url, prefix=key_prefix)
    run(store, "db")
    assert state_of(store, "db")


def test_by_tls(start_redis: StartRedis, tmp_path: Path) -> None:
    """rediss:// with a certificate authority of one's own, and with Celery's spelling of `ssl_cert_reqs`."""
    port, key, cert = free_port(), tmp_path / "key.pem", tmp_path / "cert.pem"
    request = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    try:
        command = ["openssl", *request.split(), "-keyout", str(key), "-out", str(cert)]
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl")
    files = ["--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert)]
    start_redis("--tls-port", str(port), "--tls-auth-clients", "no", *files, binary="redis-server")
    store = RedisStore(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={cert}&ssl_cert_reqs=CERT_REQUIRED", retries=False)
    run(store, "db")
    assert state_of(store, "db")
    for _ in range(100):  # what the server sends after each handshake may come early or late
        store.close()
        store.states.now()
    with pytest.raises(StoreUnavailable):
        RedisStore(f"rediss://127.0.0.1:{port}/0", retries=False).states.now()  # nobody we trust signed it


@pytest.mark.parametrize("retries", [True, False])
def test_errors_do_not_tell_the_password(start_redis: StartRedis, retries: bool) -> None:
    """A server without AUTH echoes its arguments; our error does not, and neither does its traceback."""
    server = start_redis("--rename-command", "AUTH", "")
    store = RedisStore(f"redis://user:s3cr%2Ft@127.0.0.1:{server.port}/0", retries=retries)
    with pytest.raises(StoreUnavailable) as error:
        store.states.now()
    assert "s3cr/t" not in str(error.value)
    assert "***" in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


BAD_URLS = {
    "another scheme": "http://user:s3cret@host",
    "a slash in the password": "redis://:s3cret/x@host:1/0",
    "an unknown option": "redis://:s3cret@host/0?colour=blue",
    "an odd value": "redis://:s3cret@host/0?socket_timeout=soon",
    "nothing": "",
}


@pytest.mark.parametrize("url", BAD_URLS.values(), ids=BAD_URLS)
def test_urls_that_are_none(url: str) -> None:
    """Said when the store is made, without the password."""
    with pytest.raises(ValueError, match=r"Redis URL|should begin with redis://") as error:
        RedisStore(url)
    assert "s3cret" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_url_does_not_change_our_timeouts(own_server: RedisServer) -> None:
    """`?socket_timeout=30` in a URL that was made for somebody else does not make a probe wait."""
    store = RedisStore(
        own_server.url + "?socket_timeout=30&socket_connect_timeout=30", timeout_seconds=0.1, retries=False
    )
    store.states.now()
    own_server.freeze()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.states.now()
    assert time.monotonic() - started < 0.5


def _runs_right(store: RedisStore, name: str) -> bool:
    for number in range(100):
        flight = store.states.take(name, f"{name}-{number}", lease_seconds=5)
        store.states.update(flight, becoming(flight, "error" if number % 2 else "ok"))
        state = state_of(store, name)
        if state is None or state.result.run_id != f"{name}-{number}":
            return False
    return True
