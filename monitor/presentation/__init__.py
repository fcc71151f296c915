"""Documents of states and history: the plain data that endpoints and commands show."""
