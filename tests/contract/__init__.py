"""The public contract, recorded from the commit before issue 11, and a test that compares it with the code of today.

``python -m tests.contract.record`` writes the golden files anew: only on purpose, when the contract changes.
"""
