"""A user's Django project: an admin site of its own class at a path of its own, DEBUG off, nothing collected."""
