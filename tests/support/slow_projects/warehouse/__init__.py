"""Django project that is slow to import and large, as a stand-in for saleor and paperless-ngx.

Its variables say what is slow, in seconds, and what is imported:

- ``WAREHOUSE_SETTINGS_SECONDS``: the settings.
- ``WAREHOUSE_APPLICATION_SECONDS``: the Celery application, the module `warehouse.celery`.
- ``WAREHOUSE_SETUP_SECONDS``: ``django.setup()``.
- ``WAREHOUSE_LOG``: a file to which each import writes its part and its process id.
- ``WAREHOUSE_GATE``: a file for which ``django.setup()`` waits.
- ``WAREHOUSE_IMPORTS_APPLICATION``: this package imports the application, as Celery's documentation recommends.
- ``WAREHOUSE_IS_LARGE``: the settings import `warehouse.libraries`, and ``django.setup()`` builds `warehouse.schema`.
"""

import os

if os.environ.get("WAREHOUSE_IMPORTS_APPLICATION"):
    from warehouse.celery import app as celery_app

    __all__ = ["celery_app"]
