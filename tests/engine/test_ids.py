"""Derived ids are uuid5, so that anybody can derive them."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids


@given(st.text(), st.lists(st.one_of(st.integers(), st.uuids(), st.text())))
def test_derived_is_uuid5(kind: str, parts: list[int | UUID | str]) -> None:
    assert ids.derived(kind, *parts) == uuid5(ids.NAMESPACE, "|".join([kind, *map(str, parts)]))
