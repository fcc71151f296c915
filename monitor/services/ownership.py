"""Ownership of a store: a role works in a store only if the store does not belong to another project."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.agent.identity import Identity
from monitor.ports.store import Ownership

ABSENCES = 2
"""Number of reads in a row without an owner after which a refused role may work.

After a flush, this gives the previous owner time to write its name again.
"""


@dataclass(frozen=True, slots=True)
class OwnershipState:
    """Ownership of the store as last read.

    ``owner`` is the other project that the store belongs to; None when this project may work. ``absences`` counts the
    reads without an owner since this project was refused.
    """

    owner: Identity | None = None
    absences: int = 0


def check_ownership(before: OwnershipState, project: Identity, ownership: Ownership, *, claims: bool) -> OwnershipState:
    """Read the ownership of a store for a project; with ``claims``, write its name into a store without an owner.

    Raises StoreUnavailable.
    """
    found = ownership.read()
    state = judge_ownership(before, project, found)
    if claims and project.name and state.owner is None and found in (None, project):
        # A name that is already there is claimed again, because a generated name expires otherwise.
        return judge_ownership(state, project, ownership.claim(project))
    return state


def judge_ownership(before: OwnershipState, project: Identity, found: Identity | None) -> OwnershipState:
    """Return the ownership, for a project, of a store in which the owner ``found`` was read (None: no owner)."""
    if project.differs_from(found):
        return OwnershipState(found)
    if found is None and before.owner is not None and before.absences + 1 < ABSENCES:
        return OwnershipState(before.owner, before.absences + 1)
    return OwnershipState()


def explanation(project: Identity, owner: Identity) -> str:
    """Return a text on why a project does not work in the store of another, and on the settings to change."""
    return (
        f"the store belongs to the project {owner.name!r} and this is the project {project.name!r}, so nothing is "
        "dispatched or run here: set another `key_prefix` or `redis_url`, or the same `project` if both are one "
        "(after a rename: `monitor store take-over`)"
    )
