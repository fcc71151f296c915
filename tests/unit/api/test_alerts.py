"""What alerting has to tell: read for those who ask, while they ask, and never by the request itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.api import on_demand
from monitor.api.pages import ProbeResponse
from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.model.alerts import Alert, AlertsOverview, DeadLetter, DeliveryQueue, LastNotification, Silence
from monitor.model.checks import Notice, NoticeKind, Status
from monitor.ports.store import StoreUnavailable
from monitor.presentation import states
from monitor.store.memory.store import MemoryStore
from tests.support.builders import NOW
from tests.support.builders.values import check, config, record
from tests.support.processes import wait_for

TELLING = AlertsOverview(
    read_at=NOW,
    alerts=(
        Alert(
            "database",
            Status.ERROR,
            Status.OK,
            NOW - 60,
            7,
            "refused",
            {"ops": LastNotification(Status.ERROR, 0, NOW, "n")},
        ),
        Alert("cache", Status.OK, Status.ERROR, NOW - 5, 3),
        Alert("mail", Status.OK, Status.ERROR, NOW - 5, 9, flapping_since=NOW - 30),
        Alert("queue", Status.WARNING, Status.OK, NOW, 2, "slow", held="silenced", held_by="1", deferred=("ops",)),
    ),
    silences=(Silence("1", "queue*", NOW, NOW + 3600, "known", "ada"),),
    queues=(DeliveryQueue("ops", 2, NOW - 20, 3, NOW + 30, "http_500"),),
    dead_letters=(
        DeadLetter("ops", Notice("old:1", NoticeKind.FIRING, "old", Status.OK, Status.ERROR, 0, NOW), "gone", NOW, 4),
    ),
    dead_letter_count=1,
)


class TellingStore(MemoryStore):
    """A store in memory that has something to tell, and counts how often it was asked; or fails to."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts.overview = self.overview  # type: ignore[method-assign]
        self.asked = 0
        self.answers = True

    def overview(self) -> AlertsOverview:
        """What was put in."""
        self.asked += 1
        if not self.answers:
            raise StoreUnavailable("gone")
        return TELLING


@pytest.fixture
def store() -> TellingStore:
    store = TellingStore()
    record(store, "database")
    return store


@pytest.fixture
def service(store: TellingStore) -> Iterator[Service]:
    service = build(
        config(check("database"), token="hushhushhushhush", refresh_interval_seconds=0.05), connect=lambda: store
    )
    service.refresher.start()
    wait_for(lambda: service.refresher.snapshot().answering, what="the first read")
    yield service
    service.refresher.stop()


def ask(service: Service, authorization: str = "Bearer hushhushhushhush") -> ProbeResponse:
    return service.probes.answer(Target("alerts"), authorization=authorization)


def test_it_is_read_once_somebody_asks(service: Service, store: TellingStore) -> None:
    """The first one is asked to come again; nobody's probe makes the thread read it, nor does who may not see it."""
    assert ask(service, "").status == 401
    assert service.probes.answer(Target("ready")).status == 200
    assert store.asked == 0
    first = ask(service)
    assert (first.status, dict(first.headers)["Retry-After"]) == (503, "1")
    answer = wait_for(lambda: (told := ask(service)).status == 200 and told, seconds=30, what="an answer")
    assert json.loads(answer.body)["silences"][0]["why"] == "known"


def test_that_it_cannot_be_read_takes_nothing_else_down(service: Service, store: TellingStore) -> None:
    """The states are read as before."""
    store.answers = False
    ask(service)
    wait_for(lambda: store.asked >= 2, seconds=30, what="attempts")
    assert ask(service).status == 503
    assert service.refresher.snapshot().answering


def test_nobody_has_asked_for_a_while(service: Service, store: TellingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read then is not told any more, and nothing is read until somebody asks again."""
    monkeypatch.setattr(on_demand, "WANTED_SECONDS", 0.0)
    alerts = service.refresher.alerts
    alerts.request()
    alerts.refresh(_Never())
    monkeypatch.setattr(on_demand, "FRESH_SECONDS", -1.0)
    assert alerts.request() is None


class _Never:
    def get(self) -> Any:
        raise AssertionError


def test_the_document() -> None:
    """What fails, what flaps, what was told and held; not what has been well again and nobody was told of."""
    said = states.alerts_document(TELLING)
    assert json.loads(json.dumps(said)) == said
    assert [each["check"] for each in said["alerts"]] == ["database", "mail", "queue"]
    database, mail, queue = said["alerts"]
    assert database == {
        "check": "database",
        "status": "error",
        "reason": "refused",
        "since": "2025-12-27T11:59:00.000Z",
        "transition": "database:7",
        "flapping": False,
        "held": None,
        "held_by": None,
        "deferred": [],
        "told": {"ops": {"status": "error", "at": "2025-12-27T12:00:00.000Z", "reminders": 0}},
    }
    assert mail["flapping"] and (queue["held"], queue["deferred"]) == ("silenced", ["ops"])
    assert said["silences"][0]["until"] == "2025-12-27T13:00:00.000Z"
    assert (said["channels"][0]["pending"], said["channels"][0]["oldest_at"]) == (2, "2025-12-27T11:59:40.000Z")
    (letter,) = said["dead_letters"]
    assert (letter["id"], letter["kind"], letter["reason"], letter["attempts"]) == ("old:1", "firing", "gone", 4)
    assert (said["dead_letter_count"], said["timestamp"]) == (1, "2025-12-27T12:00:00Z")
