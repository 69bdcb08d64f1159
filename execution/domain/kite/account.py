"""What the account holds against our books: whatever our books do not hold is outside, and every change of that which
nothing explains is a difference.

Kite shows a holding twice: shares in the depository as they were in the morning (holdings), and what the day did
(positions; a sale of holdings is a negative position). Derivatives are carried in positions; intraday positions are
not carried at all. So units held are, of delivery, the morning's shares and the day's position; of all else the
position."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_day
from alphapanda.core.vocabulary import Product
from execution.domain.kite.rows import Where

Units = Mapping[Where, int]
CASH = ("NSE", "BSE")  # where shares are traded, and nothing expires
BEGINS_MS = 6 * 3_600_000  # after midnight: when a token dies, and Kite's lists are of the new day


class Outside(msgspec.Struct, frozen=True):
    """What the account holds that is not ours, by place as text. `before` at the start of the day, `fills` what orders
    made elsewhere have added since, `units` all that is not in our books, `accepted` by how many units a person knows
    that others have taken from us, `booked` what of that has left our books, ever, `delivered` the morning's shares by
    instrument as they were read last that day; `knows_shares` whether they ever were."""

    day: int = 0  # none: the account was never looked at
    before: Mapping[str, int] = {}
    fills: Mapping[str, int] = {}
    units: Mapping[str, int] = {}
    accepted: Mapping[str, int] = {}
    booked: Mapping[str, int] = {}
    delivered: Mapping[str, int] | None = None
    knows_shares: bool = False


class Held(NamedTuple):
    """One look. `ours` are our books with trades that wait to be booked, and with what our orders traded that is not
    known here yet; `traded` what they have traded today, `fills` what orders made elsewhere have; `positions` are the
    broker's, net; `delivered` its holdings, None where they were not read; `watched` the instruments that are ours to
    watch; `ended` contracts that the exchange settles, which Kite shows until its next day; `booked` all that others
    have traded and that has left our books, ever."""

    day: int
    ours: Units
    fills: Units
    positions: Units
    delivered: Mapping[str, int] | None
    watched: Collection[str]
    ended: Collection[str] = ()
    traded: Units = {}
    booked: Units = {}


class Gap(NamedTuple):
    """What differs at a place. `is_taken`: others have closed what is ours; else units that nothing explains."""

    where: Where
    ours: int
    theirs: int
    is_taken: bool = False


def day_of(at_ms: int) -> int:
    """The broker's day of a time, as the ordinal of a date: it begins when tokens die, at six in the morning."""
    return ist_day(at_ms - BEGINS_MS)


def began_ms(at_ms: int) -> int:
    """When the broker's day of a time began."""
    return at_ms - (at_ms - BEGINS_MS + IST_OFFSET_MS) % DAY_MS


def text_of(where: Where) -> str:
    return f"{where.instrument} {where.product}"


def place_of(text: str) -> Where:
    return Where(*text.rsplit(" ", 1))


def places_of(known: Outside) -> set[Where]:
    """Where something was outside."""
    return {place_of(name) for name in (*known.before, *known.fills)}


def twins(instrument: str) -> tuple[str, ...]:
    """The names under which Kite may show a share. The depository knows no exchange, and Kite shows what lies there
    under the one where it closed dearer the day before: the name may change from night to night."""
    exchange, _, symbol = instrument.partition(":")
    return tuple(f"{one}:{symbol}" for one in CASH) if exchange in CASH else (instrument,)


def heap(where: Where) -> tuple[Where, ...]:
    """The places whose units are one heap with those of a place: shares at either exchange, for the depository knows
    none."""
    names = twins(where.instrument) if where.product == Product.CNC else (where.instrument,)
    return tuple(Where(name, where.product) for name in names)


def pooled(where: Where) -> Where:
    """The place under one name, whatever exchange a share is held or sold at."""
    return heap(where)[0]


def looked(known: Outside, held: Held) -> tuple[Outside, list[Gap]]:
    """What is outside after a look, and what differs. In an instrument that is not ours to watch nothing differs: what
    is there is taken as it is. A share is compared under one name: ours, whatever exchange Kite shows it under."""
    known, held = _at_home(known, held)
    first = {
        is_delivery: not known.knows_shares if is_delivery else known.day == 0
        for is_delivery in (True, False)
    }
    known = on_day(_taken_over(known, held.booked), held)
    if held.delivered is not None:  # Kite may show the shares of the day before for a while
        known = msgspec.structs.replace(known, delivered=dict(held.delivered), knows_shares=True)
    before = {
        where: left for where, left in _places(known.before).items() if where.instrument not in held.ended
    }
    units: dict[Where, int] = {}
    gaps: list[Gap] = []
    given = _places(known.accepted)
    for where, total in _totals(known, held).items():
        ours, fills = held.ours.get(where, 0), held.fills.get(where, 0)
        expected = ours + before.get(where, 0) + fills
        if total != expected and _is_taken_as_it_is(
            where, total, held, is_first=first[where.product == Product.CNC]
        ):
            before[where] = before.get(where, 0) + total - expected
        elif total != expected:
            gaps.append(Gap(where, expected, total))
        missing = _missing(ours, ours + before.get(where, 0) + fills)
        if missing > given.get(where, 0):
            gaps.append(Gap(where, ours, ours - missing if ours > 0 else ours + missing, is_taken=True))
        given[where] = min(
            missing, given.get(where, 0)
        )  # what is back, or has left the books, is known no more
        units[where] = total - ours
    for where in _places(known.units).keys() - units.keys():
        if _is_unread(where, known):
            units[where] = known.units[text_of(where)]
    after = msgspec.structs.replace(
        known,
        before=_texts(before),
        fills=_texts(held.fills),
        units=_texts(units),
        accepted=_texts(given),
    )
    return after, sorted(gaps, key=lambda gap: (text_of(gap.where), gap.is_taken))


def _at_home(known: Outside, held: Held) -> tuple[Outside, Held]:
    """The same with each share under the name under which our books hold it, or else watch it."""
    homes = _homes(held)

    def texts(names: Mapping[str, int]) -> dict[str, int]:
        return _texts(_moved(_places(names), homes))

    def shares(names: Mapping[str, int] | None) -> dict[str, int] | None:
        return None if names is None else _sum_by_name(names, homes)

    known = Outside(
        day=known.day,
        before=texts(known.before),
        fills=texts(known.fills),
        units=texts(known.units),
        accepted=texts(known.accepted),
        booked=texts(known.booked),
        delivered=shares(known.delivered),
        knows_shares=known.knows_shares,
    )
    return known, held._replace(
        ours=_moved(held.ours, homes),
        fills=_moved(held.fills, homes),
        positions=_moved(held.positions, homes),
        delivered=shares(held.delivered),
        traded=_moved(held.traded, homes),
        booked=_moved(held.booked, homes),
    )


def _homes(held: Held) -> dict[str, str]:
    ours = {where.instrument for where, units in held.ours.items() if units and where.product == Product.CNC}
    homes: dict[str, str] = {}
    for name in (*sorted(ours), *sorted(held.watched)):
        for twin in twins(name):
            homes.setdefault(twin, name)
    return homes


def _moved(places: Units, homes: Mapping[str, str]) -> dict[Where, int]:
    """Delivery alone: what is not delivered is held at its exchange."""
    return _sum(
        *(
            {Where(homes.get(where.instrument, where.instrument), where.product): units}
            if where.product == Product.CNC
            else {where: units}
            for where, units in places.items()
        )
    )


def _sum_by_name(names: Mapping[str, int], homes: Mapping[str, str]) -> dict[str, int]:
    shares = {Where(name, Product.CNC): units for name, units in names.items()}
    return {where.instrument: units for where, units in _moved(shares, homes).items()}


def _taken_over(known: Outside, booked: Units) -> Outside:
    """The same where trades of others have become trades of our books: they are outside no more."""
    new = _sum(booked, {place_of(name): -units for name, units in known.booked.items()})
    before = _sum(_places(known.before), {where: -units for where, units in new.items() if known.day})
    return msgspec.structs.replace(known, before=_texts(before), booked=_texts(booked))


def on_day(known: Outside, held: Held) -> Outside:
    """The same at the first look of another day: what was left is carried. Of intraday positions the account carries
    none, so those that our books still hold others have closed."""
    if known.day == held.day:
        return known
    left = _sum(_places(known.before), _places(known.fills))
    carried = {where: units for where, units in left.items() if where.product != Product.MIS}
    if known.day:
        kept = _sum(held.ours, {where: -units for where, units in held.traded.items()})
        carried |= {where: -units for where, units in kept.items() if where.product == Product.MIS}
    accepted = {name: count for name, count in known.accepted.items() if carried.get(place_of(name))}
    return Outside(
        day=held.day,
        before=_texts(carried),
        units=known.units,
        accepted=accepted,
        booked=known.booked,
        knows_shares=known.knows_shares,
    )


def explained(known: Outside, gap: Gap) -> Outside:
    """The same after a person has said that a gap is right: units that nothing explained are not ours."""
    if gap.is_taken:
        return known
    name = text_of(gap.where)
    before = {**known.before, name: known.before.get(name, 0) + gap.theirs - gap.ours}
    return msgspec.structs.replace(known, before=before)


def taken(known: Outside, where: Where, ours: int) -> tuple[Outside, int]:
    """The same where it is known that others have closed what our books hold of a place, and how many units, negative
    where they have sold them."""
    name = text_of(where)
    missing = _missing(ours, ours + known.before.get(name, 0) + known.fills.get(name, 0))
    after = msgspec.structs.replace(known, accepted={**known.accepted, name: missing})
    return after, -missing if ours > 0 else missing


def _is_taken_as_it_is(where: Where, total: int, held: Held, *, is_first: bool) -> bool:
    """Whether units that nothing explains are simply not ours. At the first look ever that is all that was there,
    but where it is less than what our books hold."""
    ours = held.ours.get(where, 0)
    return where.instrument not in held.watched or (is_first and not _missing(ours, total))


def _missing(ours: int, total: int) -> int:
    """Of the units of our books, those that the account does not hold."""
    sign = 1 if ours >= 0 else -1
    return max(0, abs(ours) - max(0, sign * total)) if ours else 0


def _totals(known: Outside, held: Held) -> dict[Where, int]:
    """All that the account holds, by every place that anybody knows of; nothing of delivery before its morning's
    shares were read."""
    places = {*held.ours, *held.fills, *held.positions, *_places(known.before)}
    shares = known.delivered or {}
    places |= {Where(instrument, Product.CNC) for instrument in shares}
    totals = {}
    for where in sorted(places, key=text_of):
        if not _is_unread(where, known) and where.instrument not in held.ended:
            carried = shares.get(where.instrument, 0) if where.product == Product.CNC else 0
            totals[where] = held.positions.get(where, 0) + carried
    return totals


def _is_unread(where: Where, known: Outside) -> bool:
    return where.product == Product.CNC and known.delivered is None


def _places(texts: Mapping[str, int]) -> dict[Where, int]:
    return {place_of(text): units for text, units in texts.items()}


def _texts(places: Units) -> dict[str, int]:
    return {text_of(where): units for where, units in places.items() if units}


def _sum(*parts: Units) -> dict[Where, int]:
    found: dict[Where, int] = {}
    for part in parts:
        for where, units in part.items():
            found[where] = found.get(where, 0) + units
    return found
