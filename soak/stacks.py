"""``python -m soak.stacks [STACK...] [--record]``: the stacks of compose/ on a real Docker engine, and the drill.

Parsing a compose file proves little. Here the images are built, the stacks come up, 400 records with one key meet a
consumer that has stopped consuming, consumers are killed, and the probes are asked over HTTP and by Docker. With a
window of 1 minute. Root and Debian's docker.io, docker-compose and debootstrap are needed, or DOCKER_HOST.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import traceback

import pytest

from soak import report, stack_images
from soak.stack_engine import Stack, about, engine
from soak.stack_plays import KAFKA_PLAYS, WINDOW_SECONDS, Story
from soak.stack_product import PRODUCT_PLAYS

HEAD = ("done", "seen", "after", "right")
PLAYS = {**KAFKA_PLAYS, **PRODUCT_PLAYS}
NEEDED = ("dockerd", "docker", "docker-compose", "debootstrap")


def main() -> int:
    """Play them one after the other, print and record what was seen; 0 when all of it was right."""
    parser = argparse.ArgumentParser(prog="python -m soak.stacks", description=__doc__)
    parser.add_argument("stacks", nargs="*", metavar="STACK", help=f"which (all): {', '.join(PLAYS)}")
    parser.add_argument("--record", action="store_true", help=f"write the outcome into {report.FILE.name}")
    options = parser.parse_args()
    if unknown := set(options.stacks) - set(PLAYS):
        parser.error(f"no such stack: {', '.join(sorted(unknown))}; there are: {', '.join(PLAYS)}")
    if missing := [command for command in NEEDED if not shutil.which(command)]:
        print(f"missing: {', '.join(missing)} (Debian: apt-get install docker.io docker-compose debootstrap)")
        return 1
    right = True
    with engine() as host:
        stack_images.build(host)
        for name in options.stacks or PLAYS:
            print(told := about(host), flush=True)
            story = _play(host, name)
            right = right and story.right
            if options.record:
                table = ["| " + " | ".join(row) + " |" for row in [HEAD, *story.rows]]
                lines = [told, "", table[0], "|" + " --- |" * len(HEAD), *table[1:]]
                report.record(f"stack {name}", "\n".join(lines))
    return 0 if right else 1


def _play(host: str, name: str) -> Story:
    file, play, settings = PLAYS[name]
    story = Story(name)
    minutes = str(WINDOW_SECONDS // 60)
    with Stack(host, file, stack_images.PYTHON, {"WINDOW_MINUTES": minutes, **settings}) as stack:
        try:
            play(stack, story)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  (the other stacks are played all the same)
            traceback.print_exc()
            print(stack.compose("logs", "--tail", "40"), flush=True)
            story.tell("...", str(error), right=False)
    return story


if __name__ == "__main__":
    sys.exit(main())
