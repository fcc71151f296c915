"""Check kinds and alert channels as plug-ins: found by name, documented from their fields."""
