"""The check kinds, one file each."""
