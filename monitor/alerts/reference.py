"""The reference of all channels, made of their code: ``python -m monitor.alerts.reference > docs/channels.md``."""

from __future__ import annotations

import sys

from monitor.alerts.registry import CHANNELS
from monitor.alerts.text import DEFAULT_BODY, DEFAULT_TITLE, LABEL, NAMES
from monitor.plugins.reference import page, table

_HEAD = """\
# Alert channels

<!-- Made by `python -m monitor.alerts.reference > docs/channels.md`; a test compares the two. -->

Who is told, and how. A channel is one table of the configuration file, as in the examples; the fields that every
channel has (`checks`, `severity`, `reminder`, `timeout`, ...) are those of [the configuration](configuration.md). An
attempt to deliver ends within the channel's `timeout` whatever the receiver does, and then counts as one to be tried
again. The receiver may have taken it nevertheless: a notice has an id, the same each time, to tell by.

Options of type "text (secret)" (passwords, tokens, and addresses that have them in their path) are shown nowhere: not
in logs, in the state, by `monitor config`, or in the process list.
"""

_TEMPLATES = f"""\
## Templates

`title` and `body` of a channel are texts with these names in them; `$$` is a dollar sign. When not given they are

```text
{DEFAULT_TITLE}
```

```text
{DEFAULT_BODY}```
"""


def render() -> str:
    """Return the whole page, as Markdown."""
    meanings = {**NAMES, f"{LABEL}NAME": "the label of that name; empty without it"}
    names = table(("name", ""), ((f"`${name}`", meaning) for name, meaning in meanings.items()))
    return page(_HEAD, CHANNELS, "channels", links=["[templates](#templates)"], end=[_TEMPLATES, *names])


if __name__ == "__main__":
    sys.stdout.write(render())
