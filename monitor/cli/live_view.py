"""Live view: output of a command that is replaced every second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import NoReturn

from rich.console import Console
from rich.live import Live
from rich.text import Text

from monitor.cli.tables import ExitCode
from monitor.ports.store import StoreUnavailable

INTERVAL_SECONDS = 1.0


def show_live(show: Callable[[Console], None]) -> NoReturn:
    """Call ``show`` every second until Ctrl-C, then exit with 0.

    On a terminal, each output replaces the previous one. Without a terminal, each output is printed below the previous
    one. While the store does not answer, the last output is printed again, with the error of the store below it.
    """
    console = Console()
    in_place = Live(console=console, auto_refresh=False, vertical_overflow="crop") if console.is_terminal else None
    output = Text()
    try:
        with in_place or nullcontext():
            while True:
                problem = ""
                try:
                    output = _captured(console, show)
                except StoreUnavailable as error:
                    problem = f"\nthe store does not answer: {error}"
                output_and_problem = Text.assemble(output, (problem, "bold red"))
                if in_place:
                    in_place.update(output_and_problem, refresh=True)
                else:
                    console.print(output_and_problem)
                    console.file.flush()
                time.sleep(INTERVAL_SECONDS)
    except KeyboardInterrupt:
        sys.exit(ExitCode.OK)


def _captured(console: Console, show: Callable[[Console], None]) -> Text:
    """Return the output of ``show`` without printing it."""
    canvas = Console(width=console.width, force_terminal=console.is_terminal, color_system=console.color_system)  # type: ignore[arg-type]
    with canvas.capture() as captured:
        show(canvas)
    return Text.from_ansi(captured.get().rstrip())
