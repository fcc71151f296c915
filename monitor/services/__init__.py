"""Use cases. They use ports only, no implementations of IO."""
