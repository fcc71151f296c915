"""States and history as the plain data that endpoints and commands show."""
