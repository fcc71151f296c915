"""Project as `startproject` makes it, with the three lines of the README."""

from shop.celery import app

__all__ = ["app"]
