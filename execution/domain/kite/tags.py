"""The tag that an order carries at Kite, by which it is found again: at most 20 letters and digits.

It is derived, not drawn: from the house (a name that an installation is given once, for two of them may trade one
account, and one that starts afresh meets its old orders), our order and the attempt. A tag is ours where its check
letter fits; whose it is says the row that was committed with it before it was sent."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

import msgspec

LENGTH = 20  # Kite refuses a longer one
MARK = "AP"
ATTEMPTS_MAX = 32
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # 32 letters that are not taken for one another
_KEY_LENGTH = LENGTH - len(MARK) - 2  # 80 bits


class BadAttempt(ValueError):
    """An order was to be sent more often than a tag can tell apart."""


class Tag(msgspec.Struct, frozen=True):
    """A tag of this house: `key` stands for the order, attempts are counted from 1."""

    key: str
    attempt: int


def tag_of(house: str, order_id: UUID, attempt: int) -> str:
    """The tag of an attempt to place an order. Raises BadAttempt."""
    if not 1 <= attempt <= ATTEMPTS_MAX:
        raise BadAttempt(f"attempt {attempt} is not from 1 to {ATTEMPTS_MAX}")
    body = MARK + key_of(house, order_id) + _ALPHABET[attempt - 1]
    return body + _check(house, body)


def key_of(house: str, order_id: UUID) -> str:
    """What the tags of all attempts of an order have in common."""
    number = int.from_bytes(sha256(f"tag|{house}|{order_id}".encode()).digest()[:10])
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * _KEY_LENGTH - 5, -5, -5))


def read(house: str, tag: str) -> Tag | None:
    """A tag as this house makes them; None for any other text."""
    if len(tag) != LENGTH or not tag.startswith(MARK) or not set(tag) <= set(_ALPHABET):
        return None
    body, check = tag[:-1], tag[-1]
    if check != _check(house, body):
        return None
    return Tag(body[len(MARK) : -1], _ALPHABET.index(body[-1]) + 1)


def ours(house: str, tags: Iterable[str]) -> Tag | None:
    """The first tag of this house among all that an order carries; Kite adds tags of its own."""
    return next((found for tag in tags if (found := read(house, tag)) is not None), None)


def _check(house: str, body: str) -> str:
    return _ALPHABET[sha256(f"check|{house}|{body}".encode()).digest()[0] & 31]
