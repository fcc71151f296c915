"""Process that imports a project, writes facts about the project for its parent, and ends.

The command line is ``python -m monitor.project.import_process DESCRIPTOR``. First the process imports the project's
settings, and writes an answer to DESCRIPTOR. Then it reads import paths of Celery applications from its standard input,
one in each line, and writes an answer for each. At the end of the input it ends.

An answer has two lines: the facts, and the sources of the facts. What the project prints goes to standard error.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from typing import TextIO

from monitor.project import discovery, facts, sources


def main(descriptor: int) -> None:
    """Answer until the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    os.set_inheritable(descriptor, False)
    os.dup2(2, 1)
    variables = sources.record_variables()
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        _answer(output, discovery.facts(), variables)
        for line in sys.stdin:
            _answer(output, discovery.facts_with_application(line.strip()), variables)


def _answer(output: TextIO, found: facts.ProjectFacts, variables: set[str]) -> None:
    output.write(f"{facts.encode(_without_objects(found))}\n{sources.encode(variables)}\n")
    output.flush()


def _without_objects(found: facts.ProjectFacts) -> facts.ProjectFacts:
    """Return the facts without the transport options that have no plain value, such as functions."""
    options = found.derived.get("broker_transport_options", {})
    kept = {name: value for name, value in options.items() if facts.is_plain(value)}
    if len(kept) == len(options):
        return found
    ignored = ", ".join(sorted(map(str, options.keys() - kept.keys())))
    sys.stderr.write(f"monitor: broker_transport_options: ignored, because not a plain value: {ignored}\n")
    return dataclasses.replace(found, derived={**found.derived, "broker_transport_options": kept})


if __name__ == "__main__":
    main(int(sys.argv[1]))
