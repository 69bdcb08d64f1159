"""The event log: topics, the one Kafka client, outbox, relay, dead letters."""

from django.apps import AppConfig


class EventlogConfig(AppConfig):
    name = "alphapanda.eventlog"
    label = "eventlog"
    verbose_name = "Event log"
