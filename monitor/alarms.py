"""The use cases of alerting: what to tell of each transition, and telling it."""
