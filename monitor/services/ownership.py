"""Ownership of a store: the monitor does not work in a store that belongs to another project."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.agent.identity import Identity
from monitor.ports.store import Ownership

ABSENCES = 2
"""After this number of reads in a row that find no owner, a refused project may work in the store.

A flush of the store deletes the owner. The time of these reads lets the working project write its name again first.
"""


@dataclass(frozen=True, slots=True)
class OwnershipState:
    """Ownership of the store, as last read by this project.

    ``owner`` is the other project that the store belongs to. It is None when this project may work. ``absences`` counts
    the reads in a row that found no owner, since this project was refused.
    """

    owner: Identity | None = None
    absences: int = 0


def check_ownership(before: OwnershipState, project: Identity, ownership: Ownership, *, claims: bool) -> OwnershipState:
    """Read the owner of a store, and return whether this project may work there.

    With ``claims``, also write the name of the project into a store without an owner. Raises StoreUnavailable.
    """
    owner = ownership.read()
    state = judge_ownership(before, project, owner)
    if claims and project.name and state.owner is None and owner in (None, project):
        # The name is written again even if it is there already, because a generated name expires.
        return judge_ownership(state, project, ownership.claim(project))
    return state


def judge_ownership(before: OwnershipState, project: Identity, owner: Identity | None) -> OwnershipState:
    """Return the ownership, for this project, after a read of the store's ``owner`` (None: no owner)."""
    if project.differs_from(owner):
        return OwnershipState(owner)
    if owner is None and before.owner is not None and before.absences + 1 < ABSENCES:
        return OwnershipState(before.owner, before.absences + 1)
    return OwnershipState()


def explanation(project: Identity, owner: Identity) -> str:
    """Return a message: why a project does not work in the store of another one, and which settings to change."""
    return (
        f"the store belongs to the project {owner.name!r} and this is the project {project.name!r}, so nothing is "
        "dispatched or run here: set another `key_prefix` or `redis_url`, or the same `project` if both are one "
        "(after a rename: `monitor store take-over`)"
    )
