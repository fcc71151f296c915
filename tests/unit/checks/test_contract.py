"""What every kind promises. A new kind is covered by being registered: nothing here names one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.checks import reference
from monitor.checks.base import Kind, Observation
from monitor.checks.registry import KINDS, configured_options
from monitor.config import CheckSpec
from monitor.model.checks import Outcome, Status
from monitor.plugins.registry import json_schema

CONFIG = {"broker_url": "redis://127.0.0.1:1/0", "redis_url": "redis://127.0.0.1:1/0"}
WRITTEN = (Status.OK, Status.WARNING, Status.ERROR, Status.UNKNOWN)
every_kind = pytest.mark.parametrize("name", KINDS.names())
numbers = st.one_of(st.integers(0, 2**63), st.floats(0, 1e18, allow_nan=False))


def example(name: str) -> Kind:
    """A kind with the options of its own example."""
    return KINDS.build(name, KINDS.find(name).example)


@every_kind
def test_a_kind_is_found_under_the_name_of_its_file(name: str) -> None:
    """So that one file can be imported for one kind, without the libraries of all others."""
    cls = KINDS.find(name)
    assert cls.name == name
    assert cls.__module__ == f"monitor.checks.kinds.{name}"


@every_kind
def test_a_kind_is_a_frozen_dataclass(name: str) -> None:
    """Its options cannot change between two runs, and it can be handed to another process."""
    kind = example(name)
    field = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind, field, None)
    assert pickle.loads(pickle.dumps(kind)) == kind


@every_kind
def test_a_kind_documents_itself(name: str) -> None:
    """The class, its example and every option have something to say; reasons are codes."""
    cls = KINDS.find(name)
    assert "__doc__" in vars(cls)
    assert not inspect.getdoc(cls).startswith(f"{cls.__name__}("), "the dataclass' own, generated docstring"
    assert cls.example
    for option, about in json_schema(cls).items():
        assert about.get("description"), option
    assert all(re.fullmatch(r"[a-z][a-z_]*", reason) for reason in cls.reasons)


@every_kind
def test_series_are_documented(name: str) -> None:
    """What history keeps are fields of the kind's data; a kind that runs users' code says nothing beforehand."""
    cls = KINDS.find(name)
    assert set(cls.series) <= set(cls.reports)
    data = {"a": 1, "b": 2.5, "on": True, "text": "x", "nested": {"c": 3}}
    found = example(name).series_of(Outcome(Status.OK, data))
    assert found == (cls.series if cls.reports else ("a", "b"))
    assert example(name).series_of(Outcome(Status.OK, data, series=("b",))) == ("b",)


@every_kind
def test_options_do_not_hide_behind_the_common_fields_of_a_check(name: str) -> None:
    """In a file both stand in one table."""
    common = set(CheckSpec.model_fields) | {field.alias for field in CheckSpec.model_fields.values()}
    assert not common & set(KINDS.option_names(name))


@every_kind
def test_an_unknown_option_is_an_error(name: str) -> None:
    """A typing error must not be a check that silently does something else."""
    with pytest.raises(ValidationError):
        KINDS.build(name, {**KINDS.find(name).example, "no_such_option": 1})


@every_kind
def test_wrong_options_are_not_repeated_in_the_error(name: str) -> None:
    """An option may be a password."""
    with pytest.raises(ValidationError) as caught:
        KINDS.build(name, {**KINDS.find(name).example, "no_such_option": "swordfish"})
    assert "swordfish" not in str(caught.value)


@every_kind
def test_secrets_are_not_shown(name: str) -> None:
    """Neither where an option takes its value from the configuration (addresses have passwords), nor else."""
    cls = KINDS.find(name)
    from_config = {option: CONFIG[key] for option, key in configured_options(name).items() if key in CONFIG}
    secret = {option: url.replace("127.0.0.1", ":swordfish@127.0.0.1") for option, url in from_config.items()}
    assert "swordfish" not in repr(KINDS.build(name, {**cls.example, **secret}))


@every_kind
def test_a_run_gives_an_outcome_that_can_be_stored(name: str, django: None) -> None:
    """Whatever the machine answers to the example: data is JSON and documented, and so is the reason."""
    cls = KINDS.find(name)
    outcome = example(name).run(2.0)
    assert outcome.status in WRITTEN
    json.dumps([outcome.data, outcome.detail, outcome.message], allow_nan=False)
    if cls.reports:
        assert set(outcome.data) <= set(cls.reports)
    assert (outcome.reason is None) == (outcome.status is Status.OK)
    assert outcome.reason is None or outcome.reason in cls.reasons


@every_kind
@settings(deadline=None)
@given(data=st.data())
def test_judging_is_pure_and_total(name: str, data: st.DataObject) -> None:
    """Any numbers in the documented data have an opinion, the same one each time, and are not changed by it."""
    kind = example(name)
    measured = {report: data.draw(numbers, label=report) for report in kind.reports}
    observation = Observation(measured)
    outcome = kind.judge(observation)
    assert isinstance(outcome, Outcome)
    assert outcome.status in WRITTEN
    assert outcome.data == measured
    assert kind.judge(Observation(copy.deepcopy(measured))) == outcome


def test_the_reference_is_what_the_code_says() -> None:
    """`docs/checks.md` is made of the code; make it again when this fails."""
    page = Path(__file__).parents[3] / "docs" / "checks.md"
    assert page.read_text() == reference.render(), "python -m monitor.checks.reference > docs/checks.md"


def test_the_reference_s_examples_are_toml_that_builds() -> None:
    """What a reader copies into a file is valid."""
    import tomllib

    for block in re.findall(r"```toml\n(.*?)```", reference.render(), re.DOTALL):
        (check,) = tomllib.loads(block)["checks"].values()
        options: dict[str, Any] = {key: value for key, value in check.items() if key != "kind"}
        assert KINDS.build(check["kind"], options)
