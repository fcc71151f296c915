"""What the promises cost, measured: ``python -m bench [NAME...] [--quick] [--record]``.

Every number stands beside a baseline of the same run on the same machine; nothing here is a test.
"""
