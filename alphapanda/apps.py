"""Wiring of the project package."""

from django.apps import AppConfig


class AlphapandaConfig(AppConfig):
    name = "alphapanda"
    verbose_name = "Alpha Panda"
