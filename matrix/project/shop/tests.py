"""Tests of the project, which run without Redis."""

from django.test import TestCase


class Probes(TestCase):
    """The probes in the project's own web server."""

    def test_live(self):
        """Liveness depends on nothing."""
        self.assertEqual(self.client.get("/api/health/live/").status_code, 200)

    def test_ready(self):
        """Without a store, nothing is known."""
        self.assertEqual(self.client.get("/api/health/ready/").status_code, 503)
