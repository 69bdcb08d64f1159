"""Instruments, calendar, feeds, bars and the tick stream."""

from django.apps import AppConfig


class MarketdataConfig(AppConfig):
    name = "marketdata"
    verbose_name = "Market data"
