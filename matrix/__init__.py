"""Matrix of the versions that the package supports: each cell is resolved, installed and run without constraints.

Run it with ``make matrix``, or ``python -m matrix [CELL...]``. The outcome is docs/versions.md.
"""
