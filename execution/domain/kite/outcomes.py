"""What came of a write to Kite (place, modify, cancel), told from its answer or from how the connection failed.

Only proof that nothing was taken is a refusal; what is not known is UNKNOWN, is looked up in the broker's book and
never repeated. Names of errors are those of the answer's body: the official client calls those it does not know
(MarginException, HoldingException) GeneralException, which proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"  # the order system took it: what becomes of it is told later
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    # refused, as every later write would be: all writes stop until a new login
    TOKEN_DEAD = "TOKEN_DEAD"  # noqa: S105


class Resend(StrEnum):
    """Whether the same wish may be sent again."""

    NEVER = "NEVER"
    SAME_TAG = "SAME_TAG"  # too many requests: after a pause
    NEW_TAG = "NEW_TAG"  # it never left the house: as a new attempt


class Stage(StrEnum):
    """How far a request came before its connection failed."""

    NOT_SENT = "NOT_SENT"  # no address, connection refused, no TLS: not a byte of it was sent
    MAYBE_SENT = "MAYBE_SENT"  # time-out, reset, death of our process, anything else


class Slice(msgspec.Struct, frozen=True):
    """One part of an order that Kite sliced by itself; each part succeeds or fails alone."""

    verdict: Verdict
    order_id: str = ""
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one write. `order_id` and `slices` are told where it was accepted."""

    verdict: Verdict
    reason: str = ""
    resend: Resend = Resend.NEVER
    order_id: str = ""
    slices: tuple[Slice, ...] = ()
    http_status: int = 0  # 0: there was no answer
    error_type: str = ""

    @property
    def may_resend(self) -> bool:
        return self.resend is not Resend.NEVER

    @property
    def never_left(self) -> bool:
        """Whether it came no further than our own door: no connection, or nobody who is logged in."""
        is_ours = self.verdict is Verdict.TOKEN_DEAD and not self.http_status
        return is_ours or self.resend is Resend.NEW_TAG

    @property
    def order_ids(self) -> tuple[str, ...]:
        """Of all orders that are known to have been taken."""
        found = [self.order_id, *(one.order_id for one in self.slices)]
        return tuple(dict.fromkeys(order_id for order_id in found if order_id))


REASON_LENGTH_MAX = 200
TIMED_OUT = "timed out"  # seen in a 400 for orders that were placed
TOO_MANY = "too many requests"  # seen in a 200, too
GENERAL = "GeneralException"
TOKEN = "TokenException"  # noqa: S105 - the name of an error
# Validation by Kite or by its risk system. Of the names that Kite documents, General, Network and Data prove nothing.
_REFUSING = frozenset(
    {"InputException", "MarginException", "HoldingException", "OrderException", "UserException"}
)
_PERMISSION = frozenset({"PermissionException", "PermissionError", "TwoFAException"})
KNOWN = _REFUSING | _PERMISSION | {TOKEN, GENERAL, "NetworkException", "DataException"}
# No permission or another IP address, no such route or order, holdings that wait for the depository's authorisation.
_REFUSING_CODES = frozenset({403, 404, 405, 410, 428})
_PROVES_NOTHING = frozenset({"NetworkException", "DataException"})


def of_failure(stage: Stage, words: str) -> Outcome:
    """What came of a write whose connection failed."""
    if stage is Stage.NOT_SENT:
        return Outcome(Verdict.REFUSED, short(words), Resend.NEW_TAG)
    return Outcome(Verdict.UNKNOWN, short(words))


def of_answer(http_status: int, body: bytes, *, id_name: str = "order_id") -> Outcome:
    """What came of a write that was answered; any bytes are an answer. `id_name` is what success calls the id of what
    was written."""
    try:
        told: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return _unreadable(http_status)
    if told.get("status") == "success" and not told.get("error_type"):
        return _succeeded(http_status, told.get("data"), id_name)
    if told.get("status") == "error" or told.get("error_type"):
        return _failed(http_status, _text(told.get("error_type")), _text(told.get("message")))
    return _unreadable(http_status)


def _unreadable(http_status: int) -> Outcome:
    """429 is a refusal whatever its body, which nobody documents."""
    if http_status == 429:
        return Outcome(Verdict.REFUSED, TOO_MANY, Resend.SAME_TAG, http_status=http_status)
    return Outcome(
        Verdict.UNKNOWN, f"HTTP {http_status} with a body that is not Kite's", http_status=http_status
    )


def _failed(http_status: int, error_type: str, message: str) -> Outcome:
    name = error_type if error_type in KNOWN else GENERAL
    verdict, resend = _judged(http_status, name, message.lower())
    reason = message or f"HTTP {http_status} {error_type}"
    return Outcome(verdict, short(reason), resend, http_status=http_status, error_type=error_type)


def _judged(http_status: int, name: str, words: str) -> tuple[Verdict, Resend]:
    if http_status in (401, 403) and name == TOKEN:
        return Verdict.TOKEN_DEAD, Resend.NEVER
    if TIMED_OUT in words or http_status == 408:
        return Verdict.UNKNOWN, Resend.NEVER
    if http_status == 429 or (http_status < 500 and TOO_MANY in words):
        return Verdict.REFUSED, Resend.SAME_TAG
    if 400 <= http_status < 500 and _is_proof(http_status, name):
        return Verdict.REFUSED, Resend.NEVER
    return Verdict.UNKNOWN, Resend.NEVER


def _is_proof(http_status: int, name: str) -> bool:
    """Whether an answer of 4xx proves that nothing was taken: by its code, or by the name of its error."""
    if http_status in _REFUSING_CODES:
        return name not in _PROVES_NOTHING
    return name in _REFUSING | _PERMISSION


def _succeeded(http_status: int, data: Any, id_name: str) -> Outcome:
    """An order id, or the parts of a sliced order in either shape that is on record: a list of parts, or an id with
    `children`."""
    children = data if isinstance(data, list) else data.get("children") if isinstance(data, dict) else None
    order_id = _order_id(data, id_name)
    slices = tuple(map(_slice, children)) if isinstance(children, list) else ()
    if not 200 <= http_status < 300 or not (order_id or slices):
        return _unreadable(http_status)
    verdict = _together(slices) if slices else Verdict.ACCEPTED
    reason = "" if verdict is Verdict.ACCEPTED else next(one.reason for one in slices if one.reason)
    return Outcome(verdict, reason, order_id=order_id, slices=slices, http_status=http_status)


def _together(slices: Sequence[Slice]) -> Verdict:
    """Of all parts: not known as long as one is not, refused where each was."""
    verdicts = {one.verdict for one in slices}
    for verdict in (Verdict.UNKNOWN, Verdict.ACCEPTED):
        if verdict in verdicts:
            return verdict
    return Verdict.REFUSED


def _slice(told: Any) -> Slice:
    if order_id := _order_id(told):
        return Slice(Verdict.ACCEPTED, order_id)
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        return Slice(Verdict.UNKNOWN, reason="a part with neither id nor error")
    code = error.get("code", 400)
    failed = _failed(
        code if type(code) is int else 400, _text(error.get("error_type")), _text(error.get("message"))
    )
    verdict = Verdict.UNKNOWN if failed.verdict is Verdict.UNKNOWN else Verdict.REFUSED
    return Slice(verdict, reason=failed.reason)


def _order_id(told: Any, name: str = "order_id") -> str:
    """Text, though some servers have sent the digits as a number."""
    order_id = told.get(name) if isinstance(told, dict) else None
    if type(order_id) is int and order_id > 0:
        return str(order_id)
    return order_id if isinstance(order_id, str) and order_id.isascii() and order_id.isalnum() else ""


def _text(told: Any) -> str:
    return told if isinstance(told, str) else ""


def short(words: str) -> str:
    """What others say, as far as a column holds it."""
    return words.replace("\0", "")[:REASON_LENGTH_MAX]
