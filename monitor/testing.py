"""What users need to test with: a store without a server.

>>> from monitor.testing import MemoryStore
>>> store = MemoryStore(clock=lambda: 1000.0)
>>> store.read().states
{}
"""

from monitor.store.memory import MemoryStore
from monitor.store.memory_history import MemoryHistory

__all__ = ["MemoryHistory", "MemoryStore"]
