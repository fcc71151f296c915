"""Registries of check kinds and alert channels, and reference pages that are generated from the registered classes."""
