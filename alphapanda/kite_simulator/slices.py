"""Orders above the freeze quantity, cut into smaller ones where the client asks for it."""

from __future__ import annotations

from typing import Any

import msgspec

from alphapanda.kite_simulator.book import Book
from alphapanda.kite_simulator.errors import KiteError, bad_input
from alphapanda.kite_simulator.parsing import Wanted


def slices(wanted: Wanted, most: int, slices_max: int) -> list[Wanted]:
    """The order in parts of at most so many units; 0: no limit is known. Raises KiteError for too many parts."""
    if not wanted.is_sliced or not most or wanted.quantity <= most:
        return [wanted]
    whole, rest = divmod(wanted.quantity, most)
    sizes = [most] * whole + ([rest] if rest else [])
    if len(sizes) > slices_max:
        raise bad_input(f"The order would be {len(sizes)} slices; at most {slices_max} are allowed.")
    return [msgspec.structs.replace(wanted, quantity=size) for size in sizes]


def placed_in_slices(
    book: Book, parts: list[Wanted], *, app: str, at_ms: int, order_id: str, is_flat: bool
) -> Any:
    """What the parts come to: each is taken or refused for itself."""
    children = [_placed(book, part, app=app, at_ms=at_ms, parent_id=order_id) for part in parts]
    return children if is_flat else {"order_id": order_id, "children": children}


def _placed(book: Book, part: Wanted, *, app: str, at_ms: int, parent_id: str) -> dict[str, Any]:
    try:
        return {"order_id": book.place(part, app=app, at_ms=at_ms, parent_id=parent_id).order_id}
    except KiteError as error:
        return {"error": {"code": error.http, **error.body()}}
