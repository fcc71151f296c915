"""Django project of a user: an admin site with its own class and path, DEBUG off, no collected static files."""
