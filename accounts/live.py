"""What stands between a person and trading with real money: the switches, the permission, Kite's terms acknowledged,
the password given again a moment ago, and a readiness check that has passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction

from accounts.models import LiveAct, User
from accounts.services import act_record
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.refusals import BadRequest, Conflict
from alphapanda.web.roles import Role, roles_of

if TYPE_CHECKING:
    from django.http import HttpRequest

UNLOCKED_FOR = timedelta(minutes=15)
READY_FOR = timedelta(hours=1)
PERMISSION = "accounts.trade_live"
TERMS_VERSION = "2026-11-28"
TERMS = """\
I trade my own account, or have the written consent of its owner.
I have read the terms of Kite Connect. Its clause 2(e) says that the API is not for fully automated trading without the
approval of the exchange, while the exchanges' framework of 2026 for static IP addresses treats orders of programs as
normal. I have settled with Zerodha (kiteconnect@zerodha.com) what holds for me, and use approvals where it asks for a
person behind each entry.
My app is registered with the static IP address of this machine. A program that may send more than 10 orders a second
needs a registration of its own with the exchange, and its algo_id.
Orders may fail, fill late or in part, and be cancelled by the broker. I watch what runs, and know how it is halted.
"""
Kind = LiveAct.Kind


class NotCleared(Conflict):
    """Live trading may not start; the message says all that is missing."""


class TermsOutOfDate(BadRequest):
    """What was acknowledged is not the text in force."""


class UnlockRefused(BadRequest):
    """Name and password are not those of a person who may trade live."""


@transaction.atomic
def terms_acknowledge(*, version: str, actor: str, now: datetime, ip: str | None = None) -> LiveAct:
    """Acknowledge the terms of automation; the text goes with it. Raises TermsOutOfDate, NotCleared."""
    if version != TERMS_VERSION:
        raise TermsOutOfDate(
            f"The terms in force are of version {TERMS_VERSION}, not {version!r}: read them again."
        )
    if missing := _person(actor):
        raise NotCleared(" ".join(missing))
    return _act(Kind.TERMS, actor, now, ip, version=version, data=TERMS.splitlines())


def unlock(
    *, password: str, request: HttpRequest | None, actor: str, now: datetime, ip: str | None = None
) -> LiveAct:
    """Give the password again, which counts for a quarter of an hour; the lock-out counts failures.
    Raises UnlockRefused."""
    user = authenticate(request=request, username=actor, password=password)
    if user is None or _person(actor):
        raise UnlockRefused("Name and password are not those of a person who may trade live.")
    with transaction.atomic():
        return _act(Kind.UNLOCK, actor, now, ip)


@transaction.atomic
def readiness_record(
    *, findings: list[dict[str, Any]], actor: str, now: datetime, ip: str | None = None
) -> LiveAct:
    """Keep what a readiness check has found."""
    is_passed = bool(findings) and all(finding["is_good"] for finding in findings)
    return _act(Kind.READINESS, actor, now, ip, data=findings, is_passed=is_passed)


def why_not_live(*, actor: str, now: datetime) -> list[str]:
    """All that stands between a person and trading live now, in words; empty: nothing."""
    newest = LiveAct.objects.filter(at__lte=now).order_by("-at", "-pk")
    missing = _switches() + _person(actor) + _terms(actor)
    if not newest.filter(kind=Kind.UNLOCK, actor=actor, at__gt=now - UNLOCKED_FOR).exists():
        missing.append("The password was not given again in the last 15 minutes: `manage.py live unlock`.")
    last = newest.filter(kind=Kind.READINESS, at__gt=now - READY_FOR).first()
    if last is None or ist_date(to_ms(last.at)) != ist_date(to_ms(now)):
        missing.append("No readiness check was made today within the last hour: `manage.py live check`.")
    elif not last.is_passed:
        missing.append("The last readiness check did not pass: `manage.py live check`.")
    return missing


def why_no_entry(*, actor: str) -> list[str]:
    """What a person who has started live trading lacks by now, in words, so that no entry may leave any more: the
    permission, the terms in force. The password and the readiness check count for the start."""
    if not actor:
        return ["Nobody who is cleared for live trading has started it."]
    return _person(actor) + _terms(actor)


def clear(*, actor: str, now: datetime) -> None:
    """Let a person start live trading. Raises NotCleared with all that is missing."""
    if missing := why_not_live(actor=actor, now=now):
        raise NotCleared(" ".join(missing))


def permit(*, actor: str) -> None:
    """Let a person let entries pass that trade live. Raises NotCleared."""
    if missing := _switches() + _person(actor):
        raise NotCleared(" ".join(missing))


def _switches() -> list[str]:
    is_on = settings.ZERODHA_ENABLED and settings.LIVE_TRADING
    return [] if is_on else ["The zerodha broker is switched off in the settings."]


def _person(actor: str) -> list[str]:
    user = User.objects.filter(username=actor, is_active=True).first()
    if user is None or Role.OPERATOR not in roles_of(user) or not user.has_perm(PERMISSION):
        return [f"{actor} is no operator with the permission to trade live ({PERMISSION})."]
    return []


def _terms(actor: str) -> list[str]:
    if LiveAct.objects.filter(kind=Kind.TERMS, actor=actor, version=TERMS_VERSION).exists():
        return []
    return [f"{actor} has not acknowledged the terms of automation of {TERMS_VERSION}."]


def _act(kind: LiveAct.Kind, actor: str, now: datetime, ip: str | None, **facts: Any) -> LiveAct:
    row = LiveAct.objects.create(kind=kind, actor=actor, at=now, **facts)
    act_record(
        actor=actor,
        action=f"live.{kind.value.lower()}",
        target="live trading",
        reason=kind.label,
        details={"version": row.version, "is_passed": row.is_passed, "act": row.pk},
        now=now,
        ip=ip,
    )
    return row
