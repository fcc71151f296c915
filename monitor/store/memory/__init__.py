"""The store in memory, for tests and for processes without Redis."""
