"""Template tags over `alphapanda.dashboard.columns`."""

from __future__ import annotations

from django import template

from alphapanda.dashboard import columns

register = template.Library()
register.simple_tag(columns.hidden, name="hidden")


@register.simple_tag
def columns_of(kind: str) -> tuple[columns.Column, ...]:
    """The columns of a table that a person may hide; of most tables none."""
    return columns.of_kind(kind) if kind in columns.CHOSEN else ()
