"""Publish the outbox to the log, and keep the screens up to date with it, until told to stop."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from alphapanda import live, projections
from alphapanda.eventlog.relay import Relay
from alphapanda.eventlog.shutdown import stop_flag


class Command(BaseCommand):
    help = "Publish the outbox to the log until SIGTERM: then finish the batch, flush, exit 0."

    def handle(self, *_args: object, **_options: object) -> None:
        stop = stop_flag()
        with live.screens(stop):
            Relay(stop=stop, listeners=[projections.project]).run()
