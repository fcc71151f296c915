"""HTTP endpoints. They only read: they know the roster and the states, never a check's code."""
