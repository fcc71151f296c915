"""Frozen values that all other packages use: checks, alerts and consumer groups."""
