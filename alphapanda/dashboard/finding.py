"""What the palette finds beside pages and deployments: instruments by name, halts by what they halt, why and by whom,
and whatever has an id by its beginning, orders also by that of the broker, or by the tag that was sent with them."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Model, Q
from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from alphapanda.dashboard import moment, seen
from alphapanda.dashboard.access import broker_of, page_view
from execution.models import BrokerName
from marketdata.models import Instrument
from risk.models import KillSwitch
from risk.selectors import halts_thrown
from strategies.models import Deployment

FEWEST_LETTERS, FEWEST_DIGITS = 2, 6  # less would find everything
MOST = 8  # of a kind
DIGITS = 32  # of an id
HAVE_IDS = (("order", seen.orders), ("signal", seen.signals), ("fill", seen.fills))

Found = list[dict[str, str]]


@page_view
def found(request: HttpRequest) -> JsonResponse:
    """Words and address of what fits, as JSON."""
    asked = request.GET.get("q", "").replace("\0", "").strip()[:60]
    broker = broker_of(request.GET.get("broker", ""))
    suffix = "" if broker == "paper" else f"?broker={broker}"
    of_ids = [*_things(asked), *_at_broker(asked)]
    return JsonResponse({"found": [*_instruments(asked, suffix), *_halts(asked, broker, suffix), *of_ids]})


def _instruments(asked: str, suffix: str) -> Found:
    """Charts of instruments, the shortest names first: who types INFY means no option of it."""
    exchange, _, symbol = asked.upper().rpartition(":")
    if len(symbol) < FEWEST_LETTERS:
        return []
    fits = Instrument.objects.filter(tradingsymbol__contains=symbol)
    fits = fits.filter(exchange=exchange) if exchange else fits
    names = sorted(
        {str(one) for one in fits.order_by("tradingsymbol")[: MOST * 8]}, key=lambda n: (len(n), n)
    )
    return [_one(name, "chart", reverse("chart", args=[name]) + suffix) for name in names[:MOST]]


def _halts(asked: str, broker: str, suffix: str) -> Found:
    """Those of the namespace, the newest first; the word itself finds all."""
    if len(asked) < FEWEST_LETTERS:
        return []
    own = Q(broker=broker) | Q(deployment__broker=broker) | Q(broker="", deployment=None)
    known = moment.known(halts_thrown().filter(own), "thrown_at").order_by("-thrown_at", "-id")
    if not "halts".startswith(asked.lower()):
        names = ("reason", "thrown_by", "broker", "deployment__name")
        fits = [Q(**{f"{name}__icontains": asked}) for name in names]
        known = known.filter(reduce(or_, fits))
    address = reverse("risk") + suffix
    return [_one(_halted(one), "halt", f"{address}#switches-{one.pk}") for one in known[:MOST]]


def _halted(one: KillSwitch) -> str:
    target = one.broker or (one.deployment.name if one.deployment else "everything")
    is_over = moment.ended_at(one.released_at) is not None
    return f"halt of {target}{', released' if is_over else ''}: {one.reason}"


def _things(asked: str) -> Found:
    digits = asked.replace("-", "").lower()
    if not re.fullmatch(rf"[0-9a-f]{{{FEWEST_DIGITS},{DIGITS}}}", digits):
        return []
    ends = UUID(digits.ljust(DIGITS, "0")), UUID(digits.ljust(DIGITS, "f"))
    things: list[tuple[str, list[Model]]] = [
        (kind, list(rows().filter(id__range=ends).order_by("id")[:MOST])) for kind, rows in HAVE_IDS
    ]
    found = [
        _one(f"{kind} {one.pk}", kind, reverse(kind, args=[one.pk])) for kind, ones in things for one in ones
    ]
    deployments = Deployment.objects.filter(id__range=ends).order_by("name")[:MOST]
    return found + [_one(one.name, "deployment", reverse("strategy", args=[one.pk])) for one in deployments]


def _at_broker(asked: str) -> Found:
    if not re.fullmatch(rf"[0-9A-Z]{{{FEWEST_DIGITS},40}}", asked.upper()):
        return []
    names = BrokerName.objects.filter(name__startswith=asked.upper(), order__in=seen.orders().values("pk"))
    return [
        _one(f"order {one.name} at the broker", "order", reverse("order", args=[one.order_id]))
        for one in names.order_by("name")[:MOST]
    ]


def _one(words: str, kind: str, address: str) -> dict[str, str]:
    return {"words": words, "kind": kind, "address": address}
