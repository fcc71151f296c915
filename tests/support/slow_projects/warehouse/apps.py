"""Django application of the warehouse, whose start is slow."""

import os

from django.apps import AppConfig

from warehouse import delays


class WarehouseConfig(AppConfig):
    """Application that takes its time in ``ready``."""

    name = "warehouse"

    def ready(self) -> None:
        """Wait, and build the schema."""
        delays.begin("SETUP")
        delays.wait_for_gate()
        if os.environ.get("WAREHOUSE_IS_LARGE"):
            from warehouse import schema

            schema.build()
