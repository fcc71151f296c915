"""Where states live: in Redis or Valkey, or in memory. One contract (`monitor.ports.Store`), one test set."""

from monitor.store.fleet import RedisFleet
from monitor.store.history import Retention
from monitor.store.memory import MemoryStore
from monitor.store.memory_history import MemoryHistory
from monitor.store.ownership import RedisOwnership
from monitor.store.redis_history import RedisHistory
from monitor.store.redis_store import RedisStore

__all__ = ["MemoryHistory", "MemoryStore", "RedisFleet", "RedisHistory", "RedisOwnership", "RedisStore", "Retention"]
