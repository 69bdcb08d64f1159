"""Wiring of the project package."""

from django.apps import AppConfig


class AlphapandaConfig(AppConfig):
    name = "alphapanda"
    verbose_name = "Alpha Panda"

    def ready(self) -> None:
        """Bind shared tasks to our Celery app; here, so that importing `alphapanda.core` stays cheap."""
        from alphapanda import celery  # noqa: F401
