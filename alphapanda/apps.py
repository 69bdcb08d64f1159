"""Wiring of the project package."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AlphapandaConfig(AppConfig):
    name = "alphapanda"
    verbose_name = "Alpha Panda"

    def ready(self) -> None:
        """Bind shared tasks to our Celery app and register the health checks; here, so that importing
        `alphapanda.core` stays cheap."""
        from alphapanda import celery, health_broker, health_checks, health_house  # noqa: F401
        from alphapanda.health import basics  # noqa: F401


class DeskAdminConfig(AdminConfig):
    """The admin on our own site, which writes every act to the audit trail."""

    default_site = "alphapanda.site.DeskSite"
