"""The identity of a project, which distinguishes projects that share a store.

The processes of one project know different facts about the project. A worker knows its Celery application; a role of
the monitor may know only the settings module. So an identity contains all facts that a process knows, in addition to
the name that was chosen from them. :meth:`Identity.differs_from` compares two identities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from monitor.lib import decoding

NAME = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,98}[^\s\x00-\x1f\x7f])?$"
"""Pattern of a name: 1 to 100 characters in one line, without a space at the start or the end."""

NAME_BYTES = 400
RECORD_BYTES = 8192
APPLICATIONS_KEPT = 5
_VARIABLE = "DJANGO_SETTINGS_MODULE"
_OWN_SETTINGS = "monitor.settings"


@dataclass(frozen=True, slots=True)
class Identity:
    """The name of a project, and the other facts that a process knows about the project."""

    name: str = ""
    """The setting `project`, else the name of the Celery application, else the top package of the settings module.

    Empty if the process knows none of them.
    """
    applications: tuple[str, ...] = ()
    """Names of the project's Celery applications that this process knows."""
    module: str = ""
    """Top package of the settings module."""
    random: bool = False
    """True for a generated name. A generated name that contains ``@HOST`` is valid on that host only."""

    @property
    def is_configured(self) -> bool:
        """Return whether the name is the setting `project`."""
        return bool(self.name) and not self.random and self.name not in (*self.applications, self.module)

    @property
    def is_local(self) -> bool:
        """Return whether the name was generated for one host. The next start may generate another one."""
        return self.random and "@" in self.name

    def differs_from(self, other: Identity | None) -> bool:
        """Return whether the other identity belongs to another project.

        Equal names, and identities without a name, do not differ. Otherwise the first of these rules decides:

        1. Two generated names differ, unless they were generated for two hosts.
        2. A configured or generated name differs from any other name.
        3. If both identities have applications, they differ if they have none in common.
        4. They differ unless they have the same settings module.
        """
        if other is None or not self.name or not other.name or self.name == other.name:
            return False
        if self.random and other.random:
            return not self._is_on_another_host(other)
        if self.is_configured or other.is_configured or self.random or other.random:
            return True
        if self.applications and other.applications:
            return not {*self.applications} & {*other.applications}
        return not (self.module and self.module == other.module)

    def ignores(self, worker: Identity) -> bool:
        """Return whether a monitor with this identity ignores a worker, because it belongs to another project.

        A monitor with a generated name ignores no worker.
        """
        return not self.random and self.differs_from(worker)

    def _is_on_another_host(self, other: Identity) -> bool:
        hosts = {identity.name.partition("@")[2] for identity in (self, other)}
        return self.is_local and other.is_local and len(hosts) == 2


def of_process(setting: str | None, applications: Iterable[Any], environ: Mapping[str, str]) -> Identity:
    """Return the identity of a process. ``setting`` is the value of the setting `project`, if it is set."""
    # The monitor's own application is skipped: its name is not the name of the project that it watches.
    projects = [app for app in applications if not getattr(app, "names_no_project", False)]
    names = dict.fromkeys(str(getattr(app, "main", None) or "") for app in projects)
    known_applications = tuple(name for name in names if is_name(name) and name != "__main__")[:APPLICATIONS_KEPT]
    settings = environ.get(_VARIABLE, "")
    module = settings.partition(".")[0] if settings != _OWN_SETTINGS else ""
    module = module if is_name(module) else ""
    return Identity(next(filter(None, (setting, *known_applications, module)), ""), known_applications, module)


def is_name(text: str) -> bool:
    """Return whether a string can be the name of a project."""
    return re.match(NAME, text) is not None and "\n" not in text


def encode(identity: Identity) -> str:
    """Return the identity as JSON. Equal identities have equal JSON."""
    return json.dumps(asdict(identity), separators=(",", ":"))


def decode(raw: bytes | None) -> Identity | None:
    """Return the identity in a JSON text; None if it is invalid. Unknown fields of newer versions are ignored."""
    try:
        value: dict[str, Any] = decoding.load(raw or b"", max_bytes=RECORD_BYTES)
        applications = tuple(_valid_name(application) for application in value.get("applications", ()))[
            :APPLICATIONS_KEPT
        ]
        module = value.get("module")
        return Identity(
            _valid_name(value["name"]), applications, _valid_name(module) if module else "", bool(value.get("random"))
        )
    except decoding.BROKEN:
        return None


def _valid_name(value: Any) -> str:
    if not is_name(decoding.text(value)):
        raise ValueError("not the name of a project")
    return str(value)
