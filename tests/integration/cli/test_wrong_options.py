"""Wrong words on the command line: one message, exit code 2, no traceback, and nothing starts.

The commands and their options are those of the code: a new option needs wrong values here, or is fuzzed as a text.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cli import run_probe
from monitor.cli.commands import COMMANDS, cli
from tests.support.processes import free_port

LONG = "a" * 80
WRONG_NUMBERS = ("", "many", "1.5", "-1", "99999999999", "1e3", "0x10", "nan")
WRONG_HOSTS = (LONG, f"{LONG}.example.org", "a..b")
WRONG_DURATIONS = ("", "soon", "nan", "inf", "-1h", "0", "400d", "1e999")
WRONG_MOMENTS = ("soon", "nan", "2026-13-01", "2999-01-01", "-", "9e999", "\N{ARABIC-INDIC DIGIT FIVE}h")
WRONG_PATTERNS = ("", "a b", "x" * 3000, "a\n")
# An option of these accepts any text. The text is searched for, or stored.
TEXTS = {
    "silence": ("why", "by"),
    "unsilence": ("silence_id",),
    "history": ("name", "series"),
    "events": ("check",),
    "check": ("names",),
}
PASSED_ON = {"probe": ("arguments",)}
"""Arguments that another parser reads."""


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Commands set variables for the processes that they start. Each test runs them in its own process."""
    with mock.patch.dict(os.environ):
        yield


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, those of groups as well."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from (((name, inner), command.commands[inner]) for inner in command.commands)
        else:
            yield (name,), command


def parameters() -> Iterator[tuple[tuple[str, ...], click.Parameter]]:
    """Every option and argument of every command."""
    for words, command in commands():
        for parameter in command.params:
            if parameter.name not in (*TEXTS.get(words[0], ()), *PASSED_ON.get(words[0], ())):
                yield words, parameter


def wrong_values(parameter: click.Parameter, directory: Path) -> tuple[str, ...]:
    """Values that the parameter must refuse."""
    file = directory / "file"
    file.write_bytes(b"\xff\x00")
    name, kind = parameter.name, parameter.type
    by_name = {
        "host": WRONG_HOSTS,
        "for_seconds": WRONG_DURATIONS,
        "since": WRONG_MOMENTS,
        "checks": WRONG_PATTERNS,
        "redis_url": ("bla", "http://host", "redis://", "redis://host/x", "redis://host:port"),
        "config": (str(file), str(directory), str(directory / "missing"), ""),
        "data_dir": (str(file),),
    }
    if isinstance(kind, click.IntRange):
        return tuple(value for value in WRONG_NUMBERS if not (value == "-1" and kind.min is None))
    return by_name[name or ""]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> functools.partial[Result]:
    """Run a command in this process, with a store that refuses the connection."""
    monkeypatch.chdir(tmp_path)
    variables = {"MONITOR_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MONITOR_CONFIG": None}
    return functools.partial(CliRunner(env=variables).invoke, cli)


def required(words: tuple[str, ...], but: str | None) -> list[str]:
    """Right values of the other parameters that the command requires."""
    values = {
        "silence": {"checks": ["a"], "for_seconds": ["--for", "1h"], "why": ["--why", "x"]},
        "unsilence": {"silence_id": ["x"]},
        "history": {"name": ["cpu"]},
    }
    return [word for name, value in values.get(words[0], {}).items() if name != but for word in value]


@pytest.mark.parametrize(
    ("words", "parameter"),
    [pytest.param(*found, id=f"{' '.join(found[0])} {found[1].name}") for found in parameters()],
)
def test_a_wrong_value_is_refused(
    words: tuple[str, ...], parameter: click.Parameter, invoke: functools.partial[Result], tmp_path: Path
) -> None:
    """The message names the option or the setting."""
    option = max(parameter.opts, key=len)
    if isinstance(parameter, click.Option) and parameter.is_flag:
        arguments = [[f"{option}=yes"]]
    elif isinstance(parameter, click.Option):
        arguments = [[f"{option}={value}"] for value in wrong_values(parameter, tmp_path)]
    else:
        arguments = [["--", value] for value in wrong_values(parameter, tmp_path)]
    for wrong in arguments:
        result = invoke([*words, *required(words, parameter.name), *wrong])
        _assert_refused(result, words, wrong)
        what = {"config": "the file to read", "redis_url": "redis_url"}.get(parameter.name or "", option)
        assert what.lower() in result.output.lower() or "CHECK" in result.output, result.output


@pytest.mark.parametrize("words", [words for words, _ in commands() if words != ("probe",)], ids=" ".join)
def test_unknown_words_are_refused(words: tuple[str, ...], invoke: functools.partial[Result]) -> None:
    """An unknown option; and an argument too many where there is a fixed number."""
    _assert_refused(invoke([*words, *required(words, None), "--no-such-option"]), words, ["--no-such-option"])
    if words != ("check",):
        _assert_refused(invoke([*words, *required(words, None), "superfluous"]), words, ["superfluous"])


def _assert_refused(result: Result, words: tuple[str, ...], wrong: list[str]) -> None:
    assert isinstance(result.exception, SystemExit), (words, wrong, result.exception, result.output)
    # A configuration that cannot be used is 3, unknown, for the commands that follow the Nagios convention.
    is_configuration = "the configuration has 1 error;" in result.output
    assert result.exit_code in ((2, 3) if is_configuration else (2,)), (words, wrong, result.output)
    assert is_configuration != (result.output.count("Error: ") == 1), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "similar"),
    [(["statsu"], "status"), (["wokrer"], "worker"), (["silenc"], "silence"), (["store", "takeover"], "take-over")],
)
def test_a_misspelt_command_names_similar_ones(
    words: list[str], similar: str, invoke: functools.partial[Result]
) -> None:
    """In the group of all commands, and in the group below it; once."""
    result = invoke(words)
    assert result.exit_code == 2
    assert result.output.count("Did you mean") == 1
    assert f"    {similar}\n" in result.output


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("command", [name for name in TEXTS if name != "check"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_text_ends_without_a_traceback(command: str, data: st.DataObject) -> None:
    """The store refuses the connection: 3; or the text is refused: 2."""
    parts = {
        "silence": lambda: ["--for", data.draw(WORDS), "--why", data.draw(WORDS), "--by", data.draw(WORDS), "--"],
        "unsilence": lambda: ["--"],
        "history": lambda: ["--since", data.draw(WORDS), "--series", data.draw(WORDS), "--"],
        "events": lambda: ["--limit", data.draw(WORDS), f"--check={data.draw(WORDS)}"],
    }
    last = [] if command == "events" else [data.draw(WORDS)]
    variables = {"MONITOR_REDIS_URL": "redis://127.0.0.1:1/0", "MONITOR_CONFIG": None}
    result = CliRunner(env=variables).invoke(cli, [command, *parts[command](), *last])
    assert isinstance(result.exception, SystemExit), (result.exception, result.output)
    assert result.exit_code in (2, 3)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@settings(max_examples=100, deadline=None)
@given(path=WORDS, timeout=st.sampled_from(["1", "nan", "inf", "-1", "0", "1e99", "soon", ""]) | WORDS)
def test_a_probe_of_any_url_ends_without_a_traceback(path: str, timeout: str) -> None:
    """1, because nothing listens; or 2, because it is no URL or no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", sys.exit)  # after a very short time limit the probe ends its process at once
        try:
            code = run_probe([f"http://127.0.0.1:1/{path}", f"--timeout={timeout}"])
        except SystemExit as end:
            code = int(end.code or 0)
    assert code in (1, 2)


@pytest.mark.parametrize("host", WRONG_HOSTS)
def test_a_probe_of_no_host_is_refused(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As for the options of the servers."""
    with pytest.raises(SystemExit) as caught:
        run_probe([f"http://{host}/"])
    assert caught.value.code == 2
    assert "not an http:// or https:// URL" in capsys.readouterr().err
