"""Filters that lists share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_filters import rest_framework as filters

from alphapanda.core.clock import to_ms

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet


class EventTimeFilter(filters.FilterSet):
    """`since` (inclusive) and `until` (exclusive) on event time, ISO 8601."""

    time_column = "at_ms"
    since = filters.IsoDateTimeFilter(method="from_time")
    until = filters.IsoDateTimeFilter(method="to_time")

    def from_time(self, rows: QuerySet, _name: str, moment: datetime) -> QuerySet:
        return rows.filter(**{f"{self.time_column}__gte": to_ms(moment)})

    def to_time(self, rows: QuerySet, _name: str, moment: datetime) -> QuerySet:
        return rows.filter(**{f"{self.time_column}__lt": to_ms(moment)})
