"""Whatever a store has let through: every body can be parsed, says the same, and none is a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.api import render
from monitor.api.probes import health_json
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import RosterReader
from monitor.model.checks import State
from monitor.ports.history import HistoryBounds
from monitor.presentation import states
from tests.support.builders.values import check, config, moment, state

CRAFTED = [
    'group:"',
    'group:x":{}},"status":"healthy","y":{"',
    'monitor:x","status":"healthy',
    'worker:"},"status":"healthy',
    "group:\ud800",
]
CONFIG = config(check("database"), check("cpu"))


def names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no name occurs twice."""
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def parsed(body: str) -> dict[str, Any]:
    """A body, strictly."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document: dict[str, Any] = json.loads(body.encode(), object_pairs_hook=names, parse_constant=refuse)
    return document


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_name_writes_no_json_of_its_own(name: str) -> None:
    """The page says `unhealthy`, as `ready` does; a state of that name, should it ever come so far, is a member."""
    known = moment(state("database", "error"), state(name), state(f"queue:{name}"))
    roster = RosterReader(CONFIG)
    page = parsed(render.Renderer(roster).snapshot(known, HistoryBounds()))
    assert page["status"] == "unhealthy"
    assert page["groups"] == {}
    assert set(page["checks"]) == {"database", "cpu"}
    renderer = render.Renderer(roster)
    passes, ready = renderer.group(roster.ready, known)
    assert not passes
    assert parsed(ready)["status"] == "not_ready"
    for full in (False, True):
        assert parsed(renderer.detailed(known, full=full))["status"] == "unhealthy"
    assert states.workers_document(known.states, known.now)["queues"]
    assert parsed(renderer.check(check("database"), known, full=True)[1])["name"] == "database"


def test_every_name_is_encoded() -> None:
    """Also one that no border has seen."""
    odd = check("database").model_copy(update={"name": 'a"b\\'})
    known = moment()
    roster = RosterReader(config(odd))
    assert set(parsed(render.Renderer(roster).group(roster.ready, known)[1])["checks"]) == {'a"b\\'}
    assert parsed(render.Renderer(roster).check(odd, known, full=False)[1])["name"] == 'a"b\\'
    roster.problem = 'wrong"'
    assert parsed(render.Renderer(roster).startup(known)[1])["reason"] == 'wrong"'


UNFIT = {
    "401 digits": {"percent": 10**400},
    "5,000 digits": {"percent": 10**5000},
    "not a number": {"percent": float("nan")},
    "a set": {"percent": {1}},
}


@pytest.mark.parametrize("data", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("name", ["cpu", "host:h"])
def test_a_number_that_json_has_no_word_for(name: str, data: dict[str, Any]) -> None:
    """The check is unknown, `unreadable`, in every format; the others are as they were."""
    known = moment(state("database"), state("cpu"), state(name, data=data if name == "cpu" else {"cpu": data}))
    for full in (False, True):
        try:
            body = render.Renderer(RosterReader(CONFIG)).detailed(known, full=full)
        except (ValueError, TypeError):
            assert full, "the hosts of the authorised are all or nothing, behind the border"
            continue
        assert parsed(body)["checks"]["database"]["status"] == "ok"
    roster = RosterReader(CONFIG)
    _, body = health_json.group_document(roster, roster.everything(known), known)
    checks = parsed(body)["checks"]
    assert checks["database:responseTime"][0]["status"] == "pass"


def test_a_moment_without_sense() -> None:
    """No probe raises, whatever a state is."""
    broken: Any = state("cpu")
    object.__setattr__(broken, "result", None)
    known: CachedSnapshot = moment(state("database"))
    known = CachedSnapshot({**known.states, "cpu": broken}, known.now, True, True)
    roster = RosterReader(CONFIG)
    passes, body = health_json.group_document(roster, roster.ready, known)
    assert not passes
    assert parsed(body)["checks"]["cpu"][0]["output"] == "unreadable"
    assert parsed(render.Renderer(roster).group(roster.ready, known)[1])["checks"]["cpu"]["reason"] == "unreadable"
    assert isinstance(broken, State)
