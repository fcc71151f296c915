"""What the past is asked over HTTP: each answer's figures, and all that is wrong with a question."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from monitor.api import history_limiter
from monitor.api import service as composition
from monitor.api.history_limiter import Busy, HistoryReadLimiter
from monitor.api.service import Service, build
from monitor.history.samples import Sample
from monitor.model.checks import Status
from monitor.ports.history import HistoryBounds
from monitor.ports.store import StoreUnavailable
from monitor.store.memory.store import MemoryStore
from tests.support.builders import NOW
from tests.support.builders.samples import HOUR, READ_AT, with_a_past
from tests.support.builders.values import check, config, record
from tests.support.processes import wait_for
from tests.support.wsgi_client import TOKEN, Client


@pytest.fixture
def store() -> MemoryStore:
    store = with_a_past()
    record(store, "database", data={"percent": 51.0, "rows": 7}, series=("percent",), message="on db-1")
    record(store, "cache", "warning", reason="slow")
    record(store, "group:orders:billing", data={"lag": 12}, series=("lag",))
    record(store, "worker:celery@web-1", data={"verdict": "consuming"})
    return store


@pytest.fixture
def service(store: MemoryStore, django_is_set_up: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Over that store, with a token; a check that was never observed as well."""
    checks = check("database"), check("cache", critical=False), check("never", critical=False)
    service = build(config(*checks, token="hushhushhushhush"), connect=lambda: store, history_source=lambda: store)
    monkeypatch.setattr(composition, "_services", [service])
    service.refresher.start()
    wait_for(lambda: service.refresher.reaches.value.raw, what="the first read")
    yield service
    service.refresher.stop()


@pytest.fixture
def ask(service: Service) -> Client:
    """Asks our own server's application, with the token."""
    from monitor.standalone.wsgi import Handler

    return Client(Handler(), **TOKEN)


def test_a_check_over_time(ask: Client) -> None:
    """At the step that was asked for, of single observations: the worst status, and least, mean and most of series."""
    said = ask("history/?check=database&since=-90m&step=1m").json
    assert (said["check"], said["resolution"], said["step_seconds"]) == ("database", "raw", 60)
    assert said["times"] == [NOW - 89 * 60 + 60 * place for place in range(len(said["times"]))]
    assert said["since"] == said["times"][0] <= READ_AT - 90 * 60 < said["times"][1]
    assert said["until"] == said["times"][-1] + 60 >= READ_AT
    eleven = said["times"].index(NOW - HOUR)
    assert said["status"][eleven - 1 : eleven + 6] == ["ok", *["error"] * 5, "error"]  # it held until the next sample
    assert {"ok", "error"} == set(said["status"])
    percent = said["series"]["percent"]
    assert percent["unit"] == "%"
    assert (percent["min"][3], percent["mean"][3], percent["max"][3]) == (50, 51, 52)
    assert list(said["series"]) == ["response_time_ms", "percent"]
    assert said["reaches"]["raw"] == pytest.approx(READ_AT - 2 * HOUR + 5)


def test_the_server_picks_the_resolution(ask: Client, store: MemoryStore) -> None:
    """Roll-ups for what single observations do not reach or a step of five minutes; never more than 2,000 points."""
    assert ask("history/?check=database&since=-1h").json["step_seconds"] == 10
    assert ask("history/?check=database&since=-1h&step=7m").json["step_seconds"] == 600
    assert ask("history/?check=database&since=-1h&step=5m").json["resolution"] == "5m"
    fine = ask("history/?check=database&since=-2h&step=1").json
    assert (fine["step_seconds"], fine["resolution"]) == (5, "raw")
    assert len(fine["times"]) <= 2000
    store.history.add("database", [Sample(READ_AT - 80 * 86_400, Status.OK, READ_AT - 80 * 86_400 + 60)])
    long = ask("history/?check=database&since=-90d&step=5m").json
    assert (long["resolution"], long["step_seconds"]) == ("5m", 3600)
    assert len(long["times"]) <= 2000


def test_it_begins_where_history_does(ask: Client) -> None:
    """What was asked for before that is left out, with a step for what there is; nothing at all is no error."""
    said = ask("history/?check=database&since=-30d").json
    assert READ_AT - 2 * HOUR - 300 < said["since"] <= READ_AT - 2 * HOUR + 5
    empty = ask("history/?check=database&since=-30d&until=-20d").json
    assert (empty["times"], empty["status"], empty["series"]) == ([], [], {})


def test_chosen_series(ask: Client) -> None:
    """By name; one that there is not is left out."""
    assert list(ask("history/?check=database&series=percent,nonsense").json["series"]) == ["percent"]
    assert ask("history/?check=database&series=nonsense").json["series"] == {}


def test_a_moment_and_a_stretch_in_any_notation(ask: Client) -> None:
    """Epoch seconds, ISO 8601 with an offset, relative: the same answer."""
    first = ask(f"history/?check=database&since={NOW - HOUR:.0f}&until={NOW - HOUR + 600:.0f}&step=60").json
    for since, until in (
        ("2025-12-27T11:00:00Z", "2025-12-27T11:10:00Z"),
        ("2025-12-27T12:00:00%2B01:00", "2025-12-27T12:10:00+01:00"),
        ("2025-12-27T11:00", "2025-12-27T11:10"),
    ):
        assert ask(f"history/?check=database&since={since}&until={until}&step=60").json == first
    assert first["status"].count("error") == 6


def test_the_same_as_csv(ask: Client) -> None:
    """A line for each point, with the same numbers; to be saved under a name."""
    query = "history/?check=database&since=-10m&step=60"
    said, reply = ask(query).json, ask(f"{query}&format=csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="history-database.csv"'
    assert [float(row["at"]) for row in rows] == said["times"]
    assert [row["status"] for row in rows] == said["status"]
    assert [float(row["percent_mean"]) for row in rows] == said["series"]["percent"]["mean"]
    assert rows[0]["time"] == "2025-12-27T11:51:00.000Z"


def test_the_overview(ask: Client) -> None:
    """Every check's sparkline: its own series before the response time, and what was found by its runs."""
    said = ask("history/overview/?window=2h&points=24").json
    assert said["step_seconds"] == 600
    assert {"database", "cache", "never", "group:orders:billing"} == set(said["checks"])
    database = said["checks"]["database"]
    assert (database["series"], database["unit"]) == ("percent", "%")
    assert len(database["values"]) == len(database["status"]) <= 24
    assert database["status"].count("error") == 1
    assert set(said["checks"]["never"]["values"]) == {None}
    assert said["checks"]["group:orders:billing"]["series"] == "lag"


def test_uptime(ask: Client) -> None:
    """Seconds in each status, incidents, and what follows from them; time that nobody observed is its own column."""
    said = ask("uptime/?check=database&window=1h,24h&days=2").json
    day = said["checks"]["database"]["windows"]["24h"]
    assert day["seconds"]["error"] == pytest.approx(300)
    assert day["seconds"]["ok"] == pytest.approx(2 * HOUR - 5 - 300)
    assert sum(day["seconds"].values()) == pytest.approx(said["until"] - day["since"])
    assert day["availability"] == pytest.approx((2 * HOUR - 305) / (2 * HOUR - 5))
    assert (day["incidents"], day["mttr_seconds"]) == (1, pytest.approx(300))
    assert [each["date"] for each in said["checks"]["database"]["days"]] == ["2025-12-26", "2025-12-27"]
    assert said["checks"]["database"]["days"][0]["unobserved"] == 86_400
    assert set(ask("uptime/?window=24h&days=0").json["checks"]) == {
        "database",
        "cache",
        "never",
        "group:orders:billing",
    }
    rows = list(csv.DictReader(io.StringIO(ask("uptime/?window=24h&format=csv").body.decode())))
    assert [row["check"] for row in rows][:3] == ["database", "cache", "never"]
    assert float(rows[0]["error_seconds"]) == pytest.approx(300)


def test_never_observed_is_not_up(ask: Client) -> None:
    """Nothing is said of its availability, nor of repairs."""
    never = ask("uptime/?check=never&window=24h").json["checks"]["never"]["windows"]["24h"]
    assert never["availability"] is never["mttr_seconds"] is never["mtbf_seconds"] is None
    assert never["seconds"]["ok"] == 0


def test_events(ask: Client, store: MemoryStore) -> None:
    """Oldest first; page after page by the cursor, none twice and none left out; of one check."""
    for status in ("error", "ok", "error", "ok"):
        record(store, "database", status)
    whole = ask("events/").json
    assert not whole["more"]
    events, cursor, more = [], "", True
    while more:
        page = ask(f"events/?limit=3&after={cursor}").json
        assert len(page["events"]) <= 3
        events, cursor, more = events + page["events"], page["cursor"], page["more"]
    assert events == whole["events"]
    assert ask(f"events/?after={cursor}").json == {"events": [], "cursor": cursor, "more": False}
    mine = ask("events/?check=database&limit=2").json
    assert ([each["new"] for each in mine["events"]], mine["more"]) == (["ok", "error"], True)
    rest = ask(f"events/?check=database&after={mine['cursor']}").json
    assert [each["new"] for each in rest["events"]] == ["ok", "error", "ok"]
    assert whole["events"][0]["id"].startswith("database:")
    rows = list(csv.DictReader(io.StringIO(ask("events/?format=csv").body.decode())))
    assert [row["id"] for row in rows] == [each["id"] for each in whole["events"]]


def test_how_everything_was(ask: Client) -> None:
    """Status, reason and series of that moment; what is not kept is named; what was not observed says so."""
    said = ask(f"detailed/?at={NOW - HOUR + 60:.0f}").json
    database = said["checks"]["database"]
    assert (said["status"], said["timestamp"]) == ("unhealthy", "2025-12-27T11:01:00Z")
    assert (database["status"], database["reason"]) == ("error", "timeout")
    assert database["percent"] in (50, 51, 52)
    assert database["observed_at"] == "2025-12-27T11:00:55.000Z"
    assert "rows" in database["absent"]
    assert "message" in database["absent"]
    assert (said["checks"]["cache"]["status"], said["checks"]["cache"]["reason"]) == ("unknown", "not_observed")
    assert ask(f"detailed/?at={NOW - HOUR - 60:.0f}").json["status"] == "degraded"
    assert "worker:celery@web-1" in ask("detailed/?at=now").json["checks"]


def test_a_moment_that_is_not_kept(ask: Client) -> None:
    """It says from when on there is something; the future is no moment at all."""
    reply = ask("detailed/?at=-3h")
    assert (reply.status, reply.json["error"]) == (404, "not_kept")
    assert reply.json["problems"][0]["key"] == "at"
    assert ask(f"detailed/?at={READ_AT + 600}").status == 400
    assert ask(f"detailed/?at={READ_AT + 5}").status == 200


def test_all_that_is_wrong_at_once(ask: Client) -> None:
    """Each with its key, value and hint; a check that there is not is 404 when nothing else is wrong."""
    reply = ask("history/?check=n%C3%A4&since=yesterday&until=x&step=-3&format=xml&sinse=1&step=2")
    assert (reply.status, reply.json["error"]) == (400, "wrong_parameters")
    found = [(each["key"], each["value"]) for each in reply.json["problems"]]
    assert found == [
        ("check", "nä"), ("since", "yesterday"), ("until", "x"), ("format", "xml"), ("step", "-3, 2"), ("sinse", "1"),
    ]  # fmt: skip
    assert all(each["hint"] for each in reply.json["problems"])
    assert ask("history/").json["problems"] == [{"key": "check", "value": None, "hint": "is required"}]
    assert ask("history/?check=nope").status == 404
    assert ask("uptime/?check=nope&window=400d,3x&days=-1").status == 400
    assert len(ask("uptime/?check=nope&window=3x&days=-1").json["problems"]) == 3
    assert ask("history/?check=database&since=-1h&until=-2h").json["problems"][0]["key"] == "since"
    assert ask("history/?check=database&since=999999d").status == 400
    assert ask("events/?after=x&limit=0").status == ask("history/overview/?points=1&window=0").status == 400


def test_what_is_left_empty_is_as_good_as_absent(ask: Client) -> None:
    """As a form sends it."""
    assert ask("history/?check=database&series=&since=&until=&step=").status == 200


def test_history_is_not_read_in_vain(ask: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 while the store does not answer, without a try; to come again in a moment."""
    seen = service.refresher.snapshot()
    monkeypatch.setattr(service.refresher, "snapshot", lambda: seen.__class__(seen.states, seen.now, False, True))
    monkeypatch.setattr(service.history, "_connect", lambda: pytest.fail("it was asked"))
    for path in ("history/?check=database", "history/overview/", "uptime/", "events/", "detailed/?at=-1h"):
        reply = ask(path)
        assert (reply.status, reply.json, reply.headers["retry-after"]) == (503, {"error": "store_unavailable"}, "1")
    assert ask("snapshot/").json["answering"] is False
    assert ask("ready/").status == 200


def test_two_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third waits for its turn, a little; from the fourth on they are to come again."""
    limiter: HistoryReadLimiter = service.history
    monkeypatch.setattr(history_limiter, "QUEUE_SECONDS", 0.01)
    with limiter.slot(), limiter.slot():
        with pytest.raises(Busy), limiter.slot():
            pass
        limiter._queue.acquire()
        with pytest.raises(Busy), limiter.slot():
            pass
        limiter._queue.release()
    with limiter.slot():
        pass


def test_a_turn_ends_with_an_error_too(service: Service) -> None:
    """However often the store fails."""
    for _ in range(5):
        with pytest.raises(StoreUnavailable), service.history.slot():
            raise StoreUnavailable("gone")
    with service.history.slot():
        pass


def test_busy_is_503(ask: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says when to come again."""
    monkeypatch.setattr(history_limiter, "QUEUE_SECONDS", 0.01)
    with service.history.slot(), service.history.slot():
        reply = ask("events/")
    assert (reply.status, reply.json, reply.headers["retry-after"]) == (503, {"error": "busy"}, "1")


def test_no_history(ask: Client, service: Service, store: MemoryStore) -> None:
    """It is off, or was lost: empty answers, and no figure that claims something."""
    store.history.forget(["database", "cache", "group:orders:billing", "worker:celery@web-1"])
    assert ask("history/?check=database").json["times"] == []
    assert ask("history/?check=database").json["reaches"] == {"raw": None, "rollups": None}
    assert ask("uptime/?check=database&window=24h").json["checks"]["database"]["windows"]["24h"]["availability"] is None
    assert ask("detailed/?at=-1h").json["error"] == "not_kept"
    assert ask("history/overview/").status == 200


def test_the_snapshot(ask: Client, service: Service) -> None:
    """All that is known of every check but its age, what its runs found, workers, and how far back history reaches."""
    reply = ask("snapshot/")
    said = reply.json
    assert (said["status"], said["answering"]) == ("degraded", True)
    database = said["checks"]["database"]
    assert {"kind": "database", "critical": True, "groups": ["ready"], "message": "on db-1", "rows": 7}.items() <= (
        database.items()
    )
    assert database["series"] == ["response_time_ms", "percent"]
    assert "age_ms" not in database
    assert said["checks"]["never"]["status"] == "unknown"
    assert said["groups"]["group:orders:billing"]["lag"] == 12
    assert [each["name"] for each in said["workers"]] == ["celery@web-1"]
    assert said["reaches"]["raw"] == pytest.approx(READ_AT - 2 * HOUR + 5)
    assert float(reply.headers["x-monitor-now"]) == pytest.approx(READ_AT, abs=5)
    assert isinstance(service.refresher.reaches.value, HistoryBounds)


def test_what_did_not_change_is_not_sent_again(ask: Client, store: MemoryStore, service: Service) -> None:
    """304 to who has the answer's ETag; another one once something changes."""
    for path in ("snapshot/", "history/?check=database&since=-1h", "history/overview/", "events/", "openapi.json"):
        first = ask(path)
        again = ask(path, HTTP_IF_NONE_MATCH=first.headers["etag"])
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert "x-monitor-now" in again.headers
    etag = ask("snapshot/").headers["etag"]
    record(store, "database", "error")
    changed = wait_for(
        lambda: (reply := ask("snapshot/", HTTP_IF_NONE_MATCH=etag)).status == 200 and reply, what="a new snapshot"
    )
    assert changed.json["checks"]["database"]["status"] == "error"


def test_answers_are_compressed(ask: Client) -> None:
    """For who takes gzip; the ETag of either is good for the other."""
    plain, packed = ask("history/overview/"), ask("history/overview/", HTTP_ACCEPT_ENCODING="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json == plain.json
    assert "Accept-Encoding" in plain.headers["vary"]
    assert len(packed.body) < len(plain.body) / 3
    assert ask("history/overview/", HTTP_IF_NONE_MATCH=packed.headers["etag"]).status == 304
