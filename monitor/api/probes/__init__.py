"""Responses of the probes, in three formats: JSON, health+json and the format of the Kubernetes API server."""
