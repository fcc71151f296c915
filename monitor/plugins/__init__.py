"""Registries of check kinds and alert channels, and reference pages generated from their fields."""
