"""Probes: status code and body of each, in each response format."""
