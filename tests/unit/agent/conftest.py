"""Pulses of this test's own."""

from tests.support.pulses import pulses

__all__ = ["pulses"]
