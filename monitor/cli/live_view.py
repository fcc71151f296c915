"""Showing something again and again, in place."""

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
    """Let ``show`` print, every second and over what it printed last, until Ctrl-C; then exit with 0.

    While the store does not answer, that is said below what it printed last. Where there is no terminal, one picture
    follows the other.
    """
    console = Console()
    in_place = Live(console=console, auto_refresh=False, vertical_overflow="crop") if console.is_terminal else None
    picture = Text()
    try:
        with in_place or nullcontext():
            while True:
                trouble = ""
                try:
                    picture = _picture(console, show)
                except StoreUnavailable as error:
                    trouble = f"\nthe store does not answer: {error}"
                shown = Text.assemble(picture, (trouble, "bold red"))
                if in_place:
                    in_place.update(shown, refresh=True)
                else:
                    console.print(shown)
                    console.file.flush()
                time.sleep(INTERVAL_SECONDS)
    except KeyboardInterrupt:
        sys.exit(ExitCode.OK)


def _picture(console: Console, show: Callable[[Console], None]) -> Text:
    """What ``show`` prints; nothing of it is printed when it raises."""
    canvas = Console(width=console.width, force_terminal=console.is_terminal, color_system=console.color_system)  # type: ignore[arg-type]
    with canvas.capture() as captured:
        show(canvas)
    return Text.from_ansi(captured.get().rstrip())
