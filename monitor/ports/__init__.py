"""Ports: the protocols by which use cases reach the outside world, one file each."""
