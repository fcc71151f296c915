"""Dashboard: one HTML page with ES modules and a stylesheet, which request ``/api/health/`` and nothing else."""
