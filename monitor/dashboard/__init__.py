"""Dashboard: one HTML page with ES modules and a stylesheet. The modules send requests only to ``/api/health/``."""
