"""Kinds of checks, one file each."""
