"""Channels of alerts, deliveries and silences in the admin: to look at; acts are on the page Alerts."""

from __future__ import annotations

from django.contrib import admin

from alphapanda.web.admin import ReadOnlyDesk
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence


@admin.register(AlertChannel)
class AlertChannelAdmin(ReadOnlyDesk):
    """Without the address, which is shown nowhere."""

    list_display = (
        "name",
        "service",
        "least",
        "is_enabled",
        "sent_at",
        "failing_since",
        "failure",
        "removed_at",
    )
    list_filter = ("service", "is_enabled")
    search_fields = ("name",)
    ordering = ("name", "-created_at")
    deferred = exclude = ("address",)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyDesk):
    list_display = ("created_at", "channel", "alert", "occasion", "state", "tries", "sent_at", "words")
    list_filter = ("state", "channel")
    list_select_related = ("channel", "alert")
    deferred = ("channel__address",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")


@admin.register(AlertSilence)
class AlertSilenceAdmin(ReadOnlyDesk):
    list_display = ("at", "code", "subject", "until", "by", "reason", "ended_at", "ended_by")
    list_filter = ("code", "by")
    search_fields = ("code", "subject", "reason")
    ordering = ("-at",)
