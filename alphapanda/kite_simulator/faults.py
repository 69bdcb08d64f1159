"""What goes wrong, by command, by HTTP and by script, drawn from a seed: the same seed goes wrong the same way."""

from __future__ import annotations

import random
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

WRITES = ("place", "modify", "cancel", "gtt")
PATHS = "/"  # what a path starts with
CALLS = (*WRITES, "get", PATHS)


class Kind(StrEnum):
    """Answers of writes after they were accepted; how orders appear; answers of any call; updates; the websocket."""

    GATEWAY_504 = "504"  # accepted, answered by a gateway's timeout
    TIMED_OUT_400 = "timed_out"  # accepted, answered 400 "Order request timed out"
    DROPPED = "dropped"  # accepted, the connection ends without an answer
    LOST = "lost"  # not accepted, the connection ends without an answer
    LATE = "late"  # carried out `ms` later: until then the order, or the act on it, is nowhere
    STUCK = "stuck"  # shown as pending for `ms`, while trades go on
    UNAVAILABLE = "503"  # not accepted
    BURST_429 = "429"  # not accepted: too many requests
    BURST_200 = "429_as_200"  # the same with HTTP 200
    GARBAGE = "garbage"  # a body that is no JSON, of a call that was carried out
    MISSING = "missing"  # an update is not sent
    DUPLICATE = "duplicate"  # an update is sent twice
    REORDERED = "reordered"  # an update is sent `ms` late
    PARTIAL_AFTER_COMPLETE = "partial_after_complete"  # an end is followed by an older update
    MUTE = "mute"  # the websocket says nothing for `ms`
    HANDSHAKE_403 = "handshake_403"  # the websocket refuses its handshake
    CUT = "cut"  # the websocket breaks off


DEFAULT_MS: dict[Kind, tuple[int, int]] = {
    Kind.LATE: (8_000, 90_000),
    Kind.STUCK: (5_000, 60_000),
    Kind.REORDERED: (500, 5_000),
    Kind.MUTE: (10_000, 60_000),
}
AFTER_ACCEPT = (Kind.GATEWAY_504, Kind.TIMED_OUT_400, Kind.DROPPED)
REFUSALS = (Kind.UNAVAILABLE, Kind.BURST_429, Kind.BURST_200, Kind.LOST)
OF_UPDATES = (Kind.MISSING, Kind.DUPLICATE, Kind.REORDERED, Kind.PARTIAL_AFTER_COMPLETE)
OF_SOCKETS = (Kind.MUTE, Kind.HANDSHAKE_403, Kind.CUT)
# What a fault can hit, of those that cannot hit every call.
HITS: dict[Kind, tuple[str, ...]] = {
    **dict.fromkeys(AFTER_ACCEPT, (*WRITES, PATHS)),
    **dict.fromkeys(OF_UPDATES, ("update",)),
    **dict.fromkeys(OF_SOCKETS, ("websocket",)),
    Kind.LATE: ("place", "modify", "cancel"),
    Kind.STUCK: ("place",),
}


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One way of going wrong, while it is armed: `times` more times (-1: always), each call with a chance of `share`.

    `on`: the calls that it hits (empty: all that it can), such as place, modify, cancel, get, or a path's start.
    `tag`: only orders of this tag. `ms`: between which the time is drawn, of those that take time."""

    kind: Kind
    times: int = 1
    share: float = 1.0
    on: list[str] = []
    tag: str = ""
    ms: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.times < -1 or not self.times or not 0 < self.share <= 1:
            raise ValueError("`times` is from 1, or -1 for always; `share` is above 0, at most 1")
        names = HITS.get(self.kind, CALLS)
        if wrong := [one for one in self.on if (PATHS if one.startswith(PATHS) else one) not in names]:
            raise ValueError(f"`on` of {self.kind} is {', '.join(names)}, not {wrong[0][:40]!r}")
        low, high = self.ms or (0, 0)
        if not 0 <= low <= high:
            raise ValueError("`ms` is two whole numbers from 0, the smaller one first")

    def fits(self, on: Iterable[str], tag: str) -> bool:
        names = list(on)
        is_meant = not self.on or any(name.startswith(one) for one in self.on for name in names)
        return self.times != 0 and is_meant and self.tag in ("", tag)


class Fired(msgspec.Struct, frozen=True):
    """A fault that happened: to what, when, and how long it took."""

    kind: Kind
    at_ms: int
    on: str
    tag: str
    ms: int


def faults_from(value: Any) -> list[Fault]:
    """Faults of JSON: one, or a list. Raises ValueError, which says what is accepted."""
    try:
        return msgspec.convert(value if isinstance(value, list) else [value], list[Fault])
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}; kinds are {', '.join(Kind)}") from None


class Faults:
    """The faults that are armed, and a record of those that happened."""

    def __init__(self, seed: int = 0) -> None:
        self.armed: list[Fault] = []
        self.fired: list[Fired] = []
        self.now_ms = lambda: 0
        self._chance = random.Random(seed)

    def reseed(self, seed: int) -> None:
        """Draw from a seed from now on."""
        self._chance = random.Random(seed)

    def arm(self, faults: Iterable[Fault]) -> None:
        self.armed += faults

    def clear(self) -> None:
        self.armed.clear()

    def takes(self, *kinds: Kind, on: Iterable[str] = (), tag: str = "") -> Fired | None:
        """The fault of these kinds that hits a call now, if one does; the one armed first goes first."""
        names = list(on)
        for fault in self.armed:
            if fault.kind in kinds and fault.fits(names, tag) and self._chance.random() < fault.share:
                return self._fire(fault, names[0] if names else "", tag)
        return None

    def _fire(self, fault: Fault, on: str, tag: str) -> Fired:
        if fault.times > 0:
            fault.times -= 1
        self.armed = [one for one in self.armed if one.times]
        low, high = fault.ms or DEFAULT_MS.get(fault.kind, (0, 0))
        fired = Fired(fault.kind, self.now_ms(), on, tag, self._chance.randint(low, high))
        self.fired.append(fired)
        return fired

    def updates(self, update: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
        """What becomes of one update: how many ms later which are sent."""
        on, tag = ["update", update["order_id"]], update["tag"] or ""
        if self.takes(Kind.MISSING, on=on, tag=tag):
            return []
        late = self.takes(Kind.REORDERED, on=on, tag=tag)
        sent = [(late.ms if late else 0, update)]
        if self.takes(Kind.DUPLICATE, on=on, tag=tag):
            sent.append(sent[0])
        is_whole = update["status"] == "COMPLETE" and update["quantity"] > 1
        if is_whole and self.takes(Kind.PARTIAL_AFTER_COMPLETE, on=on, tag=tag):
            sent.append((sent[0][0] + 1, _older(update)))
        return sent


def _older(update: dict[str, Any]) -> dict[str, Any]:
    """The update that half of the order would have had before its end."""
    filled = update["quantity"] // 2
    left = update["quantity"] - filled
    parts = {"filled_quantity": filled, "pending_quantity": left, "unfilled_quantity": left}
    return update | parts | {"status": "UPDATE"}
