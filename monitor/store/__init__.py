"""The store, in Redis or Valkey, or in memory. Both pass the same tests of `monitor.ports.store.Store`."""
