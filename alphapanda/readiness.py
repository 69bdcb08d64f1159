"""Whether live trading may begin: what must be right before a deployment at Zerodha is started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import requests
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.live import readiness_record
from accounts.models import LiveAct
from accounts.selectors import access_token, the_account
from accounts.vault import Unreadable
from alphapanda import preflight, start_of_day
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Broker
from alphapanda.health_broker import LOOK_WARN_S, SEEN_FAIL_S
from alphapanda.kite.client import Access
from alphapanda.preflight import Doubtful, Finding, Missing
from execution.domain.kite.reconciling import HALT_AFTER
from execution.live_selectors import desk_now, differences_found
from marketdata.models import Instrument, MasterLoad
from risk import loading
from risk.domain.context import terms_of
from risk.domain.limits import given
from strategies.models import Deployment
from strategies.services.runner import ACTIVE

PATIENCE_S = 7.0
SKEW_S_MAX = 2.0  # Kite's header counts whole seconds
LISTS_FRESH_FOR = timedelta(hours=30)  # Kite makes them anew each morning


def switches() -> str:
    if not (settings.ZERODHA_ENABLED and settings.LIVE_TRADING):
        raise Missing("orders to Zerodha are off in the settings")
    return f"orders go to {settings.KITE_API_URL}"


def token() -> str:
    """Kite knows the token of the one active account."""
    status = _profile().status_code
    if status != requests.codes.ok:
        raise Missing(f"Kite answered {status} to the token: log in on the page Broker")
    return "Kite knows it"


def address() -> str:
    """Which address Kite sees, it tells with the first order alone."""
    raise Doubtful("whether this machine's address is registered shows with the first order")


def clock() -> str:
    """Our clock beside Kite's, as its answers state it, besides the database's."""
    before, answer = timezone.now(), _profile()
    middle = before + (timezone.now() - before) / 2
    stated = answer.headers.get("Date")
    if stated is None:
        raise Missing("Kite's answer states no time")
    skew_s = abs((middle - parsedate_to_datetime(stated)).total_seconds())
    if skew_s > SKEW_S_MAX:
        raise Missing(f"this clock and Kite's are {skew_s:.1f} s apart: set the time (chrony, ntp)")
    return f"within {skew_s:.1f} s of Kite's; {preflight.clock()}"


def instruments() -> str:
    """The lists are of today, and what is traded live is listed; how large one order may be is known."""
    traded = [row for one in _live() for row in one.instruments.all() if not _is_over(row, one)]
    fresh = _fresh_lists({row.exchange for row in traded})
    if gone := sorted({str(row) for row in traded if not row.is_listed}):
        raise Missing(f"no longer listed: {', '.join(gone)}")
    if unknown := sorted({str(row) for row in traded if row.expiry and not row.freeze_quantity}):
        raise Doubtful(
            f"no freeze quantity is known of {', '.join(unknown)}, and a larger exit would be refused: "
            "`manage.py load_freeze_quantities`"
        )
    return f"loaded {fresh}"


def _fresh_lists(exchanges: set[str]) -> str:
    """The newest list, where those of exchanges are of today. Raises Missing."""
    loads = MasterLoad.objects.filter(loaded_at__gte=timezone.now() - LISTS_FRESH_FOR)
    fresh = list(loads.order_by("-loaded_at"))
    if not fresh:
        raise Missing("no instrument list was loaded since yesterday: `manage.py kite_instruments`")
    if old := sorted(exchanges - {name for load in fresh for name in load.exchanges.split()}):
        raise Missing(
            f"no instrument list of {', '.join(old)} was loaded since yesterday: `manage.py kite_instruments`"
        )
    return str(fresh[0])


def limits() -> str:
    """Every deployment at Zerodha is bound by limits."""
    levels, places = loading.levels(), {place.id: place for place in loading.places()}
    for deployment in _live():
        place = places.get(deployment.id)
        terms = terms_of(levels, place, list(places.values())) if place else None
        if terms is None or not (given(terms.limits) or terms.scopes or terms.by_token):
            raise Missing(f"no limit binds {deployment.name}: set some in the admin, Limit sets")
    return f"{len(_live())} deployments bound"


def reconciled() -> str:
    """The broker's process is at work, and its book was compared with ours a moment ago."""
    now, at = desk_now(timezone.now()), timezone.now()
    if now.desk is None or _age_s(now.desk.seen_at, at) > SEEN_FAIL_S:
        raise Missing("the broker's process is not at work: `manage.py up`, or `manage.py broker`")
    if now.desk.stopped:
        raise Missing(f"it sends nothing: {now.desk.stopped}")
    if _age_s(now.desk.reconciled_at, at) > LOOK_WARN_S:
        raise Missing("its book was not compared with ours lately")
    standing = differences_found().filter(settled_at=None, rounds__gte=HALT_AFTER)
    if standing.exists():
        raise Missing(f"{standing.count()} differences stand: the admin, Differences")
    return "compared, no difference stands"


CHECKS: dict[str, Callable[[], str]] = {
    "switches": switches,
    "token": token,
    "address": address,
    "clock": clock,
    "calendar": start_of_day.exchange_calendar,
    "instruments": instruments,
    "limits": limits,
    "reconciliation": reconciled,
}


def run() -> list[Finding]:
    """Make every check, whatever the others found."""
    return [preflight.find(name, _told(check)) for name, check in CHECKS.items()]


def readiness_check(*, actor: str, now: datetime, ip: str | None = None) -> LiveAct:
    """Make every check and keep what was found."""
    return readiness_record(findings=[asdict(one) for one in run()], actor=actor, now=now, ip=ip)


def _told(check: Callable[[], str]) -> Callable[[], str]:
    """The check, with what selectors refuse as a finding."""

    def told() -> str:
        try:
            return check()
        except (Refusal, Unreadable) as refusal:
            raise Missing(str(refusal)) from None
        except requests.RequestException as error:
            raise Missing(f"Kite could not be reached: {type(error).__name__}") from None

    return told


def _live() -> list[Deployment]:
    """All at Zerodha but those at rest whose contracts have all expired, which are on record for ever: risk lets
    nothing enter there."""
    found = Deployment.objects.filter(broker=Broker.ZERODHA)
    today = ist_date(to_ms(timezone.now()))
    trades = Q(instruments__expiry=None) | Q(instruments__expiry__gte=today)
    return list(found.filter(Q(status__in=ACTIVE) | trades).distinct().order_by("name"))


def _is_over(row: Instrument, deployment: Deployment) -> bool:
    """Whether an instrument is a contract that has expired, of a deployment at rest."""
    today = ist_date(to_ms(timezone.now()))
    return row.expiry is not None and row.expiry < today and deployment.status not in ACTIVE


def _profile() -> requests.Response:
    access: Access = access_token(the_account().pk, now=timezone.now())
    headers = {"X-Kite-Version": "3", "Authorization": f"token {access.api_key}:{access.access_token}"}
    with requests.Session() as session:
        session.trust_env = False  # a .netrc would sign in another's name
        return session.get(
            f"{settings.KITE_API_URL.rstrip('/')}/user/profile",
            headers=headers,
            timeout=PATIENCE_S,
            allow_redirects=False,
        )


def _age_s(moment: datetime | None, now: datetime) -> float:
    return float("inf") if moment is None else (now - moment).total_seconds()
