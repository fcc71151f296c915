"""The dialects of the Kubernetes API server and of application/health+json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.api.probes import health_json, kubernetes
from monitor.api.probes.kubernetes import Line
from tests.support.builders.values import check, moment, roster, state

PASSING = [Line("ping", True), Line("db", True)]
FAILING = [Line("ping", True), Line("db", False, "timeout")]


@pytest.mark.parametrize(
    ("caption", "lines", "asked", "status", "text"),
    [
        ("passes", PASSING, {}, 200, "ok"),
        ("verbose", PASSING, {"verbose": True}, 200, "[+]ping ok\n[+]db ok\nreadyz check passed\n"),
        ("fails: verbose anyway", FAILING, {}, 500, "[+]ping ok\n[-]db failed: reason withheld\nreadyz check failed\n"),
        (
            "excluded",
            FAILING,
            {"verbose": True, "exclude": ["db"]},
            200,
            "[+]ping ok\n[+]db excluded: ok\nreadyz check passed\n",
        ),
        ("excluded, terse", FAILING, {"exclude": ["db"]}, 200, "ok"),
        (
            "excludes what is not there",
            PASSING,
            {"verbose": True, "exclude": ["z", "a", "a"]},
            200,
            "[+]ping ok\n[+]db ok\n"
            'warn: some health checks cannot be excluded: no matches for "a","z"\n'
            "readyz check passed\n",
        ),
    ],
)
def test_kubernetes_texts(caption: str, lines: list[Line], asked: dict[str, Any], status: int, text: str) -> None:
    """Texts and status codes of k8s.io/apiserver/pkg/server/healthz."""
    asked = {"verbose": False, "exclude": (), **asked}
    assert kubernetes.endpoint_response("readyz", lines, **asked) == (status, text), caption


def test_a_name_to_exclude_cannot_write_lines_of_its_own() -> None:
    """It comes from whoever asks."""
    _, text = kubernetes.endpoint_response("readyz", PASSING, verbose=True, exclude=['x"\n[-]db failed'])
    assert text.splitlines()[2].startswith("warn: ")
    assert len(text.splitlines()) == 4


def test_a_single_kubernetes_check() -> None:
    """Terse when it passes, its reason code when it fails, KeyError when it is not there."""
    assert kubernetes.check_response(FAILING, "ping") == (200, "ok")
    assert kubernetes.check_response(FAILING, "db") == (500, "internal server error: timeout\n")
    with pytest.raises(KeyError):
        kubernetes.check_response(FAILING, "other")


def test_an_optional_check_passes_in_the_kubernetes_dialect() -> None:
    """There is no word for a warning there, and it must not fail the probe."""
    known = roster(check("db"), check("cache", critical=False))
    lines = kubernetes.check_lines(known, known.ready, moment(state("db"), state("cache", "error")))
    assert lines == [Line("ping", True), Line("db", True), Line("cache", True)]


@pytest.mark.parametrize(
    ("caption", "status", "critical", "passes", "word", "component"),
    [
        ("ok", "ok", True, True, "pass", "pass"),
        ("warning", "warning", True, True, "warn", "warn"),
        ("error", "error", True, False, "fail", "fail"),
        ("an optional check's error", "error", False, True, "warn", "fail"),
    ],
)
def test_health_json_words(caption: str, status: str, critical: bool, passes: bool, word: str, component: str) -> None:
    """`healthy`, `degraded` and `unhealthy` in the words of the draft."""
    known = roster(check("db:main", kind="database", critical=critical))
    verdict, body = health_json.group_document(known, known.ready, moment(state("db:main", status, reason="slow")))
    said = json.loads(body)
    (key, (found,)) = next(iter(said["checks"].items()))
    assert (verdict, said["status"], found["status"]) == (passes, word, component), caption
    assert key == "db%3Amain:responseTime", "the colon is the draft's own separator"
    assert (found["componentId"], found["componentType"]) == ("db:main", "datastore")
    assert ("output" in found) is (component != "pass"), "the draft wants no output of what passes"


def test_health_json_measurements() -> None:
    """Numbers that have a name in the draft get it, each with its unit and its time."""
    known = roster(check("cpu"))
    _, body = health_json.group_document(known, known.ready, moment(state("cpu", data={"percent": 25.5, "count": 4})))
    checks = json.loads(body)["checks"]
    assert list(checks) == ["cpu:responseTime", "cpu:utilization"]
    assert checks["cpu:utilization"] == [
        {
            "componentId": "cpu",
            "componentType": "system",
            "status": "pass",
            "time": "2025-12-27T11:59:59.000Z",
            "observedValue": 25.5,
            "observedUnit": "percent",
        }
    ]


def test_health_json_of_what_was_never_observed() -> None:
    """A component without a measurement."""
    known = roster(check("cpu"))
    _, body = health_json.group_document(known, known.ready, moment())
    assert json.loads(body)["checks"]["cpu"][0]["output"] == "not_observed"
