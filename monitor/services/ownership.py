"""The use case of a shared store: whether a role may work in it, or another project does."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.agent.identity import Identity
from monitor.ports.store import Ownership

ABSENCES = 2
"""A role that was refused goes on when so many looks in a row have found no project: after a flush, the one that was
there before has time to write its name again."""


@dataclass(frozen=True, slots=True)
class OwnershipState:
    """The outcome of a look at the store. ``owner`` is the other project that it belongs to; None when this one may
    work. ``absences`` counts the looks that have found no project since this one was refused."""

    owner: Identity | None = None
    absences: int = 0


def check_ownership(before: OwnershipState, project: Identity, ownership: Ownership, *, claims: bool) -> OwnershipState:
    """Return how a project stands in a store; with ``claims``, write its name where there is none.

    Raises StoreUnavailable.
    """
    found = ownership.read()
    standing = judge_ownership(before, project, found)
    if claims and project.name and standing.owner is None and found in (None, project):
        # Also when it is there already: a name that was made up expires unless it is claimed again.
        return judge_ownership(standing, project, ownership.claim(project))
    return standing


def judge_ownership(before: OwnershipState, project: Identity, found: Identity | None) -> OwnershipState:
    """Return how a project stands in a store that belongs to the project ``found``."""
    if project.differs_from(found):
        return OwnershipState(found)
    if found is None and before.owner is not None and before.absences + 1 < ABSENCES:
        return OwnershipState(before.owner, before.absences + 1)
    return OwnershipState()


def explanation(project: Identity, owner: Identity) -> str:
    """Return why a project does not work in the store of another, and which settings to change."""
    return (
        f"the store belongs to the project {owner.name!r} and this is the project {project.name!r}, so nothing is "
        "dispatched or run here: set another `key_prefix` or `redis_url`, or the same `project` if both are one "
        "(after a rename: `monitor store take-over`)"
    )
