"""Orders above the freeze quantity, cut into smaller ones where the client asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from alphapanda.kite_simulator.book import Book
from alphapanda.kite_simulator.errors import KiteError, bad_input
from alphapanda.kite_simulator.orders import SimOrder
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
    book: Book, parts: list[Wanted], *, app: str, at_ms: int, order_id: str, is_flat: bool, is_answered: bool
) -> Any:
    """What the parts come to: each is taken or refused for itself."""
    place = partial(book.place, app=app, at_ms=at_ms, parent_id=order_id, is_answered=is_answered)
    children = [_placed(place, part) for part in parts]
    return children if is_flat else {"order_id": order_id, "children": children}


def _placed(place: Callable[[Wanted], SimOrder], part: Wanted) -> dict[str, Any]:
    try:
        return {"order_id": place(part).order_id}
    except KiteError as error:
        return {"error": {"code": error.http, **error.body()}}
