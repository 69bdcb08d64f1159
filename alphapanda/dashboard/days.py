"""The field for a day of the calendar: every page asks for one by it."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from alphapanda.dashboard.moment import FIRST_YEAR

FIRST, LAST = date(FIRST_YEAR, 1, 1), date(2999, 12, 31)


class Day(forms.DateField):
    """A day that there can be: sums with one of the ends of time would fail."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            widget=forms.DateInput(attrs={"type": "date", "min": FIRST.isoformat(), "max": LAST.isoformat()}),
            validators=[
                MinValueValidator(FIRST, f"is before {FIRST}"),
                MaxValueValidator(LAST, f"is after {LAST}"),
            ],
            **options,
        )
