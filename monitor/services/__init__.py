"""Use cases. They speak to ports only."""
