"""Alert channels: their base class, registry, texts and HTTP requests."""
