"""Strategies, versions, deployments, signals."""

from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "strategies"
    verbose_name = "Strategies"

    def ready(self) -> None:
        """Tell market data which instruments deployments have."""
        from strategies import uses  # noqa: F401
