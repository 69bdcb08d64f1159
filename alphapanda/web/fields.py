"""Serializer fields: rupees as decimal text, times in IST."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_rupees
from alphapanda.web.formats import plain


@extend_schema_field({"type": "string", "format": "decimal", "example": "1249.05"})
class PriceField(serializers.Field):
    """A price of 1/10,000 rupee as decimal text in rupees."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: int) -> str:
        return plain(to_rupees(value))


@extend_schema_field({"type": "string", "format": "decimal", "example": "-1249.05"})
class MoneyField(serializers.Field):
    """An amount as decimal text in rupees."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.Field):
    """Epoch milliseconds as ISO 8601 with +05:30; null for 0, which means never."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: int) -> str | None:
        return ist_text(value) if value else None
