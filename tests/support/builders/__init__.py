"""Builders for tests: checks and outcomes, samples, notices, workers, consumer groups, the page."""

NOW = 1_766_836_800.0  # 2025-12-27T12:00:00Z
"""Present moment, or start, of every test that has its own clock."""
