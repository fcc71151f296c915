"""The operators' page: one HTML page, ES modules and a stylesheet, which read ``/api/health/`` and nothing else."""
