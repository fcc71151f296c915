"""Builders of what tests need: checks and what they found, samples, notices, workers, consumer groups, the page."""

NOW = 1_766_836_800.0  # 2025-12-27T12:00:00Z
"""The moment at which every test with a clock of its own takes place, or begins."""
