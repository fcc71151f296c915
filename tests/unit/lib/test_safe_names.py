"""Names that become parts of keys and URLs: two names stay two."""

from __future__ import annotations

import itertools
import re
from functools import partial

import pytest

from monitor.agent.protocol import client_name, direct_queue
from monitor.alerts.channels.alertmanager import Alertmanager
from monitor.config.probe_environment import namespace
from monitor.lib.safe_names import check_name, digest, safe_name
from monitor.policy.runtime_checks import check_names, child_name, is_runtime_check, parent_checks
from tests.support.builders.notices import firing

SIMILAR = [
    "col/lide",
    "col_lide",
    "größe",
    "grüße",
    "gr__e",
    *(f"{'x' * 60}{end}" for end in ("", "1", "2")),
    *(f"{'y' * 254}{end}" for end in "12"),
    "\ud800",
    "\ud801",
    "?",
    "a:b",
    "a:b:c",
]
NAMES = [*SIMILAR, *(f"{safe_name(name, re.compile('[^a-z_]'), max_characters=60)}" for name in SIMILAR[:4])]


@pytest.mark.parametrize(
    "name_of",
    [
        pytest.param(namespace, id="sidecar's keys and queue"),
        *(pytest.param(partial(check_name, kind), id=kind) for kind in ("worker", "queue", "host")),
        pytest.param(lambda name: child_name("orders", name), id="group"),
        pytest.param(client_name, id="agent's connection"),
        pytest.param(direct_queue, id="worker's own queue"),
    ],
)
def test_no_two_names_become_one(name_of: object) -> None:
    """Also where one of them is what another one becomes."""
    assert callable(name_of)
    names = list(dict.fromkeys(NAMES))
    names += [made for made in map(str, map(name_of, SIMILAR)) if made not in names]
    assert len({name_of(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["orders", "celery@web-1.example", "a:b", "release.2026-11-27", "x" * 100])
def test_a_plain_name_stays(name: str) -> None:
    """Most names do: nothing that is stored today loses its past."""
    assert check_name("queue", name) == f"queue:{name}"


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("kind", ["worker", "queue", "host", "group:orders", "group:a:b", f"group:{'z' * 200}"])
def test_a_check_is_found_by_its_targets_name(kind: str, target: str) -> None:
    """And by the name that it is given; both are names of checks."""
    roster = ["orders", "a", "a:b", "z" * 200]
    kind, _, whole = kind.partition(":")
    made = child_name(whole, target) if whole else check_name(kind, target)
    asked = f"{kind}:{whole}:{target}" if whole else f"{kind}:{target}"
    assert is_runtime_check(made) and len(made) <= 200
    assert made in check_names(asked, roster)
    assert [each for each in roster if made in (child_name(each, target),)] == ([whole] if whole else [])


def test_a_part_belongs_to_one_check() -> None:
    """Names of checks may hold colons: a group `b:c` of `a` is not the group `c` of `a:b`."""
    checks = ["a", "a:b", "a:b:c", "long" * 50, "a_b"]
    parts = ["x", "b:x", "b:c:x", "größe"]
    made = {(check, part): child_name(check, part) for check, part in itertools.product(checks, parts)}
    assert len(set(made.values())) == len(made)
    assert all(parent_checks(name, checks) == (check,) for (check, _), name in made.items())


def test_labels_of_an_alert_stay_two() -> None:
    """Alertmanager takes fewer names than we do: where two of them would become one, they carry digests."""
    labels = {"a.b": "1", "a_b": "2", "a-b": "3"}
    sent = Alertmanager(urls=("http://127.0.0.1:9",))._labels(firing(labels=labels), "critical")
    assert {name: value for name, value in sent.items() if name.startswith("a_b")} == {
        f"a_b_{digest('a.b')}": "1",
        "a_b": "2",
        f"a_b_{digest('a-b')}": "3",
    }
