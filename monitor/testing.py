"""What users need to test with: a store without a server.

>>> from monitor.testing import MemoryStore
>>> store = MemoryStore(clock=lambda: 1000.0)
>>> store.states.read().states
{}
"""

from monitor.store.memory.history import MemoryHistory
from monitor.store.memory.store import MemoryStore

__all__ = ["MemoryHistory", "MemoryStore"]
