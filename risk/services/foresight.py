"""Looking ahead: what is left of every limit, and what other limits would have done to past orders. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Max

from alphapanda.core import ids
from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_day, ist_text
from alphapanda.core.refusals import BadRequest
from alphapanda.core.vocabulary import LimitLevel, Phase
from marketdata.selectors import spec, unlisted
from portfolio.domain.books import BookedFill
from portfolio.models import Posting
from risk import loading
from risk.domain.context import terms_of
from risk.domain.headroom import Headroom, headroom
from risk.domain.limits import Level, Limits, check_level, written
from risk.domain.memory import DayState
from risk.domain.preview import Change, Past, Preview, preview
from risk.domain.wording import plain
from risk.models import Decision, LimitSet
from risk.services.contexts import Surroundings, checkpointed, context_of, surroundings_of
from risk.services.gates import Gates, gates_by_deployment
from strategies import loading as deployments
from strategies.models import Deployment
from strategies.selectors import DeploymentNotFound
from strategies.services.runner import ACTIVE

SESSIONS = 20
DECISIONS_MAX = 20_000  # the newest of them; more would keep a person waiting


class LimitsInvalid(BadRequest):
    """Limits that do not fit together, or that bound nothing at their level."""


def headroom_now(
    *, deployment_id: UUID | None = None, now: datetime
) -> list[tuple[Deployment, list[Headroom]]]:
    """Used, left and the smallest order refused, for one deployment or for all that run, by name. Prices and time
    are those of the last checkpoint, a few seconds old at most while ticks come. Raises DeploymentNotFound."""
    rows = Deployment.objects.order_by("name").prefetch_related("instruments")
    found = list(rows.filter(pk=deployment_id) if deployment_id else rows.filter(status__in=ACTIVE))
    if deployment_id and not found:
        raise DeploymentNotFound(f"There is no deployment {deployment_id}.")
    around, ids = surroundings_of(found), [row.id for row in found]
    days, gates = loading.memories_of(ids), gates_by_deployment(now, ids)
    return [
        (row, _headroom(row, around[row.id], days.get(row.id, DayState()), gates[row.id])) for row in found
    ]


def _headroom(deployment: Deployment, around: Surroundings, day: DayState, gates: Gates) -> list[Headroom]:
    stored = checkpointed(deployment)
    at_ms = max(stored.at_ms, deployment.at_ms)
    today = ist_date(at_ms)
    instruments = {row.instrument_token: spec(row).on(today) for row in deployment.instruments.all()}
    context = context_of(
        deployment,
        day=day,
        instruments=instruments,
        halts=(),
        phases=dict.fromkeys(instruments, Phase.CONTINUOUS),
        gates=gates,
        on=today,
        surroundings=around,
    )
    return headroom(context, stored.marks, at_ms=at_ms)


def level_proposed(
    *,
    level: str,
    broker: str = "",
    portfolio_id: UUID | None = None,
    deployment_id: UUID | None = None,
    instrument_id: int | None = None,
    limits: dict[str, Any],
) -> Level:
    """A level of limits as somebody wishes it. Raises LimitsInvalid."""
    row = LimitSet(
        level=level,
        broker=broker,
        portfolio_id=portfolio_id,
        deployment_id=deployment_id,
        instrument_id=instrument_id,
    )
    try:
        wanted = written(limits)
        check_level(LimitLevel(level), wanted)
        row.clean()
        return msgspec.structs.replace(loading.level_of(row), limits=wanted)
    except ValidationError as error:
        raise LimitsInvalid("; ".join(error.messages)) from error
    except ObjectDoesNotExist as error:
        raise LimitsInvalid(f"What the limits are for is not there: {error}") from error
    except ValueError as error:
        raise LimitsInvalid(str(error)) from error


def preview_of(proposed: Level | None, *, replaced: LimitSet | None, sessions: int = SESSIONS) -> Preview:
    """What a level of limits in the place of another (None: a new one, or its removal) would have done to the
    decisions of the last sessions."""
    levels = [level for row_id, level in loading.levels_by_id() if replaced is None or row_id != replaced.pk]
    now, then = loading.levels(), tuple([*levels, proposed] if proposed is not None else levels)
    places = loading.places()
    decisions = _decisions(sessions)
    return preview(
        _past(decisions),
        before={place.id: terms_of(now, place, places) for place in places},
        after={place.id: terms_of(then, place, places) for place in places},
        instruments=loading.specs_of(place.id for place in places),
    )


def _decisions(sessions: int) -> list[Decision]:
    """Decisions of the last sessions that had any, in the order of event time."""
    newest = Decision.objects.aggregate(at=Max("at_ms"))["at"]
    if newest is None:
        return []
    oldest_ms = newest
    for _ in range(sessions):
        if newest is None:
            break
        oldest_ms = newest - (newest + IST_OFFSET_MS) % DAY_MS
        newest = Decision.objects.filter(at_ms__lt=oldest_ms).aggregate(at=Max("at_ms"))["at"]
    rows = Decision.objects.filter(at_ms__gte=oldest_ms).select_related("signal__instrument", "deployment")
    rows = rows.defer("deployment__checkpoint", "deployment__consequences")
    found = list(
        rows.order_by("-at_ms", "-deployment_id", "-signal__step", "-signal__ordinal")[:DECISIONS_MAX]
    )
    return found[::-1]


def _past(decisions: Sequence[Decision]) -> list[Past]:
    signals = {row.pk: deployments.signal_row(row.signal) for row in decisions}
    fills = _fills(row.deployment_id for row in decisions)
    last: dict[tuple[int, int], tuple[int, int]] = {}
    for signal in signals.values():
        for token, mark in signal.marks.items():
            _note(last, token, mark.at_ms, mark.price_e4)
    for one in (fill for found in fills.values() for fill in found):
        _note(last, one.token, one.at_ms, one.price_e4)
    return [
        Past(
            signal=signals[row.pk],
            deployment=row.deployment.name,
            rule=row.rule,
            is_approved=row.is_approved,
            numbers=row.numbers,
            fills=tuple(fills.get(ids.order_id(row.pk, 0), ())),
            last_e4=last.get((row.signal.instrument.instrument_token, ist_day(row.at_ms)), (0, 0))[1],
        )
        for row in decisions
    ]


def _note(last: dict[tuple[int, int], tuple[int, int]], token: int, at_ms: int, price_e4: int) -> None:
    """The last price on record of an instrument in a session."""
    key = token, ist_day(at_ms)
    last[key] = max(last.get(key, (0, 0)), (at_ms, price_e4))


def _fills(deployment_ids: Iterable[UUID]) -> dict[UUID, list[BookedFill]]:
    """The trades of deployments by order."""
    found: dict[UUID, list[BookedFill]] = {}
    rows = Posting.objects.filter(book_id__in=set(deployment_ids)).order_by("sequence")
    for stored in rows.values_list("fill", flat=True).iterator():
        fill = msgspec.convert(stored, BookedFill, strict=False)
        found.setdefault(fill.order_id, []).append(fill)
    return found


def preview_as_json(found: Preview, proposed: Level | None = None) -> dict[str, Any]:
    """A preview for scripts and pages: money as text; `unlisted` are names on the lists of the level that no instrument
    list has, and that restrict nothing unless one comes to have them."""
    limits = proposed.limits if proposed is not None else Limits()
    named = (*(limits.restricted or ()), *(limits.allowed or ()))
    return {
        "decisions": found.decisions,
        "sessions": found.sessions,
        "refused": [_changed(change) for change in found.refused],
        "let_through": [_changed(change) for change in found.let_through],
        "effect": _money(found.effect),
        "untold": found.untold,
        "unknown": found.unknown,
        "unlisted": unlisted(sorted(set(named))),
        "cannot_know": CANNOT_KNOW,
    }


CANNOT_KNOW = (
    "Each order is valued at the last price that a decision or trade of its session has on record. What would have"
    " followed is not known: the strategy's later signals, positions and exits are those that were."
)


def _changed(change: Change) -> dict[str, Any]:
    return {
        "signal": str(change.signal_id),
        "deployment": change.deployment,
        "instrument": change.instrument,
        "side": change.side,
        "quantity": change.quantity,
        "at": ist_text(change.at_ms),
        "was": change.was,
        "now": change.now,
        "value": _money(change.value),
        "effect": _money(change.effect),
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"


def _limit(limit: Any) -> str:
    shown = plain(limit)
    return ", ".join(shown) if isinstance(shown, list) else str(shown)


def headroom_as_rows(found: Iterable[tuple[Deployment, list[Headroom]]]) -> list[dict[str, Any]]:
    """Headroom for a table or for JSON: money as text."""
    return [
        {
            "deployment": deployment.name,
            "level": row.level,
            "limit": row.limit_name,
            "at": _limit(row.limit),
            "used": None if row.used is None else str(plain(row.used)),
            "left": None if row.left is None else str(plain(row.left)),
            "instrument": row.instrument,
            "side": row.side,
            "smallest_refused": row.smallest_refused,
        }
        for deployment, rows in found
        for row in rows
    ]
