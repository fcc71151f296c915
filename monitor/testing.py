"""In-memory stores for the tests of a project. They need no Redis server.

>>> from monitor.testing import MemoryStore
>>> store = MemoryStore(clock=lambda: 1000.0)
>>> store.states.read().states
{}
"""

from monitor.store.memory.history import MemoryHistory
from monitor.store.memory.store import MemoryStore

__all__ = ["MemoryHistory", "MemoryStore"]
