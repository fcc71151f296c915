"""The store on a Redis server, or Valkey."""
