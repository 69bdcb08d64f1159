"""Portfolios, books, positions, ledger."""

from django.apps import AppConfig


class PortfolioConfig(AppConfig):
    name = "portfolio"
    verbose_name = "Portfolio"

    def ready(self) -> None:
        """Tell market data which instruments are held."""
        from portfolio import uses  # noqa: F401
