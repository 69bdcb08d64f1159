"""Wiring of the project package."""

from django.apps import AppConfig


class AlphapandaConfig(AppConfig):
    name = "alphapanda"
    verbose_name = "Alpha Panda"

    def ready(self) -> None:
        from alphapanda import health_checks  # noqa: F401  (registers its checks)
        from alphapanda.health import basics  # noqa: F401
