"""The probes: which status code and which body each of them answers, in each response format."""
