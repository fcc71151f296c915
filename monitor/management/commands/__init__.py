"""Commands of ``manage.py``, one module for each command. Django finds a command by the name of its module."""
