"""Looking at losses: in the transaction that settles a deployment, so that its machine reads on with what was found."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from django.utils import timezone

from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import Severity
from portfolio import selectors as books
from risk import loading
from risk.domain.context import Member
from risk.domain.ladder import ALERT, FLATTEN, checked, rung_on
from risk.domain.memory import DayState
from risk.models import RiskState
from risk.services.alerts import alert_raise
from risk.services.oversight import oversight_keep, oversight_of
from risk.services.terms import terms_of_deployment
from strategies.domain.signals import Mark
from strategies.models import Deployment


def ladder_rung(deployment: Deployment, at_ms: int) -> int:
    """How far the ladder has gone in the session of a time."""
    return rung_on(loading.memories_of([deployment.id]).get(deployment.id, DayState()), at_ms)


def ladder_check(deployment: Deployment, *, marks: Mapping[int, Mark], at_ms: int, step: int) -> int:
    """Look at the losses of a deployment, whose row is locked, and of those it shares limits with, at the item of a
    step; remember and tell how far the ladder has gone. Done twice it is the same."""
    memory, _ = RiskState.objects.get_or_create(deployment=deployment)
    before = msgspec.convert(memory.data, DayState, strict=False)
    terms = terms_of_deployment(deployment.id)
    own = Member(books.holdings_of(deployment.id), {}, (), before)
    others = loading.others_of(terms, deployment.id)
    day = checked(own, terms=terms, others=others, marks=marks, at_ms=at_ms)
    memory.data = msgspec.to_builtins(day, str_keys=True)
    seen = msgspec.structs.replace(oversight_of(memory), limits=terms.version)
    oversight_keep(memory, seen, step, is_look=True)
    memory.save()
    if day.rung > rung_on(before, at_ms):
        done = "closes its positions" if day.rung >= FLATTEN else "cancels its entries"
        alert_raise(
            code=ALERT,
            subject=f"rung {day.rung} on {ist_date(at_ms)}, deployment:{deployment.name}",  # each is news
            deployment_id=deployment.id,
            text=f"the day's loss has reached rung {day.rung}: it {done}, and enters no more today",
            severity=Severity.CRITICAL,
            now=timezone.now(),
        )
    return day.rung
