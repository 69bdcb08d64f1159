"""The gate of the day: what must be right before the first entry."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.selectors import accounts_now
from alphapanda import preflight
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import DeploymentStatus, Severity, Waiting
from alphapanda.eventlog.models import DeadLetter
from alphapanda.health_checks import EXCHANGE
from alphapanda.preflight import Finding, Missing
from execution.selectors import orders_oversized
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Holiday, Instrument
from marketdata.selectors import calendar
from portfolio.audit import books_differences
from risk import loading
from risk.domain.context import terms_of
from risk.domain.limits import given
from risk.models import Alert, LimitsInForce
from strategies.models import Deployment
from strategies.services.runner import ACTIVE

DISK_FREE_MIN = 1 << 30


def exchange_calendar() -> str:
    """Today's hours are known, and the holidays reach beyond today."""
    today = ist_date(to_ms(timezone.now()))
    last = Holiday.objects.filter(exchange=EXCHANGE).order_by("-date").values_list("date", flat=True).first()
    if last is None or last < today:
        raise Missing(f"holidays are known until {last}: add this year's in the admin, Holidays")
    try:
        is_open = calendar(EXCHANGE).is_trading_day(today)
    except UnknownMarket as error:
        raise Missing(f"{error}: `manage.py load_instruments`") from None
    return f"{today} is {'a' if is_open else 'no'} trading day; holidays known until {last}"


def instrument_master() -> str:
    """What active deployments trade is still listed and has not expired."""
    today = ist_date(to_ms(timezone.now()))
    traded = Instrument.objects.filter(deployment__status__in=ACTIVE).distinct()
    gone = [str(row) for row in traded if not row.is_listed or (row.expiry and row.expiry < today)]
    if gone:
        raise Missing(f"no longer listed, or expired: {', '.join(gone)}")
    return f"{traded.count()} instruments listed"


def limits_loaded() -> str:
    """Every active deployment is bound by limits, and those written down are those that are set."""
    levels, places = loading.levels(), loading.places()
    names = dict(Deployment.objects.filter(status__in=ACTIVE).values_list("id", "name"))
    known = dict(LimitsInForce.objects.values_list("deployment_id", "version_id"))
    for place in places:
        if place.id not in names:
            continue
        terms = terms_of(levels, place, places)
        if known.get(place.id) != terms.version:
            raise Missing(
                f"the limits in force of {names[place.id]} are not those that are set: save one again"
            )
        if not (given(terms.limits) or terms.scopes or terms.by_token):
            raise Missing(f"no limit binds {names[place.id]}: set some in the admin, Limit sets")
    return f"{len(names)} deployments bound"


def books() -> str:
    """Yesterday's books, and all before, add up."""
    audit = books_differences()
    if not audit.adds_up:
        raise Missing("the books do not add up: `manage.py audit_books`")
    return f"{audit.books} books and {audit.fills} fills add up"


def deployments_at_rest() -> str:
    """Nobody is in quarantine or waits for what should long be done."""
    bad = Deployment.objects.filter(status=DeploymentStatus.QUARANTINED).values_list("name", flat=True)
    if bad:
        raise Missing(f"in quarantine: {', '.join(sorted(bad))}")
    waiting = Deployment.objects.exclude(waiting=Waiting.NOTHING).filter(
        waiting_since__lt=timezone.now() - timedelta(minutes=1)
    )
    if waiting.exists():
        raise Missing(f"waiting for their chain: {', '.join(waiting.values_list('name', flat=True))}")
    return "none in quarantine, none waits"


def children() -> str:
    """No order is larger than the signal it carries out, but for those that a later signal has changed."""
    found = orders_oversized().count()
    if found:
        raise Missing(f"{found} orders are larger than what was decided")
    return "no order is larger than its signal"


def dead_letters() -> str:
    waiting = DeadLetter.objects.filter(state=DeadLetter.State.NEW).count()
    if waiting:
        raise Missing(f"{waiting} to look at: `manage.py dead_letters list`")
    return "none"


def alerts() -> str:
    """No critical alert of before is open."""
    waiting = Alert.objects.filter(severity=Severity.CRITICAL, acknowledged_at=None).count()
    if waiting:
        raise Missing(f"{waiting} critical to acknowledge: `manage.py alerts`")
    return "none open"


def broker_tokens() -> str:
    """Every broker account that is in use has logged in today; there is one where ticks or orders are to be its."""
    found = accounts_now(now=timezone.now())
    if not found and (settings.FEED == "kite" or settings.ZERODHA_ENABLED):
        raise Missing("no broker account is active: make one in the admin, Broker accounts")
    if missing := [one.account.name for one in found if not one.is_alive]:
        raise Missing(f"no token of {', '.join(missing)}: log in to Kite on the page Broker")
    return f"{len(found)} accounts logged in" if found else "no broker account is active"


def disk() -> str:
    free = shutil.disk_usage(settings.RUN_DIR).free
    if free < DISK_FREE_MIN:
        raise Missing(f"{free >> 20} MiB free in {settings.RUN_DIR}, at least {DISK_FREE_MIN >> 20} wanted")
    return f"{free >> 30} GiB free"


CHECKS: dict[str, Callable[[], str]] = {
    "database": preflight.database,
    "redis": preflight.redis_server,
    "log": preflight.log,
    "clock": preflight.clock,
    "calendar": exchange_calendar,
    "instruments": instrument_master,
    "limits": limits_loaded,
    "books": books,
    "deployments": deployments_at_rest,
    "orders": children,
    "dead letters": dead_letters,
    "alerts": alerts,
    "broker": broker_tokens,
    "disk": disk,
}


def run() -> list[Finding]:
    """Make every check, whatever the others found."""
    return [preflight.find(name, check) for name, check in CHECKS.items()]
