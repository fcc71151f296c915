"""How kinds are found, also those of other packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.checks.base import CheckFailed, Kind, Observation, from_config
from monitor.checks.registry import KINDS, configured_options
from monitor.model.checks import Status
from monitor.plugins.registry import UnknownPlugin


@dataclass(frozen=True, kw_only=True)
class Probe(Kind):
    """A kind of these tests."""

    limit: int = 3
    address: str = from_config("redis_url", default="")
    broken: bool = False

    def observe(self, timeout_seconds: float) -> Observation:
        """Its own limit."""
        if self.broken:
            raise CheckFailed("refused", "nobody there", {"tries": 1})
        return Observation({"limit": self.limit}, {"host": "somewhere"})


@pytest.fixture
def probe() -> Iterator[str]:
    """A kind that is registered for one test."""
    KINDS.register("test_probe")(Probe)
    yield "test_probe"
    del KINDS.known["test_probe"]


def test_options_are_validated_and_converted(probe: str) -> None:
    """As pydantic does: a number in a text is a number."""
    assert KINDS.build(probe, {"limit": "5"}) == Probe(limit=5)


def test_what_the_configuration_fills_is_known(probe: str) -> None:
    """Wiring asks for it, to complete the options of a check."""
    assert configured_options(probe) == {"address": "redis_url"}
    assert KINDS.option_names(probe) == ("limit", "address", "broken")


def test_what_is_measured_is_ok_by_default(probe: str) -> None:
    """A kind without an opinion of its own keeps data and detail apart."""
    outcome = KINDS.build(probe, {}).run(1.0)
    assert (outcome.status, outcome.data, outcome.detail) == (Status.OK, {"limit": 3}, {"host": "somewhere"})


def test_an_expected_failure_is_an_error_with_its_reason(probe: str) -> None:
    """CheckFailed carries reason, message and data."""
    outcome = KINDS.build(probe, {"broken": True}).run(1.0)
    assert (outcome.status, outcome.reason, outcome.message) == (Status.ERROR, "refused", "nobody there")
    assert outcome.data == {"tries": 1}


def test_an_unknown_kind_says_which_there_are() -> None:
    """For the hint of a configuration error."""
    with pytest.raises(UnknownPlugin) as caught:
        KINDS.find("databse")
    assert caught.value.name == "databse"
    assert "database" in caught.value.known


def test_a_name_is_registered_once(probe: str) -> None:
    """Two packages that ship the same name: the second one must not replace the first unnoticed."""
    with pytest.raises(ValueError, match="test_probe"):
        KINDS.register(probe)(type("Other", (Kind,), {}))


def test_other_packages_ship_kinds(tmp_path: Path) -> None:
    """By an entry point; one that cannot be loaded takes nothing else with it."""
    (tmp_path / "shop_kinds.py").write_text(
        "from monitor.checks.registry import register\n"
        "from monitor.checks.base import Kind\n"
        "@register('shop')\n"
        "class Shop(Kind): ...\n"
    )
    information = tmp_path / "shop-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: shop\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[monitor.kinds]\nbroken = no_such_module\nshop = shop_kinds\n")
    code = "from monitor.checks.registry import KINDS; print(KINDS.find('shop').name, 'redis' in KINDS.names())"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert found.stdout == "shop True\n"
    assert "no_such_module" in found.stderr


def test_one_kind_is_found_without_the_libraries_of_the_others() -> None:
    """A check process imports what its roster needs."""
    code = "import sys; from monitor.checks.registry import KINDS; KINDS.find('tcp'); print('django' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
