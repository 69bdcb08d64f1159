"""Checks that look at the tables of the apps: the age of each stage from tick to screen, what waits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Max, Min, Model, QuerySet
from django.utils import timezone

from accounts.domain.sessions import SessionState
from accounts.selectors import AccountNow, accounts_now
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import DeploymentStatus, Phase, Severity, Waiting
from alphapanda.eventlog.models import LogCursor, OutboxEvent
from alphapanda.eventlog.topics import MARKET_TICKS
from alphapanda.health.basics import age_s
from alphapanda.health.registry import Group, Status, check, fail, ok, warn, within
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from execution.models import Fill, Order
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendar, calendar_known_until
from marketdata.stream import CONSUMER as TICK_STREAM
from portfolio.models import Posting
from risk.models import Alert, Decision
from risk.selectors import channels_there, deliveries_overdue
from strategies.models import Approval, Deployment, Due, Signal

EXCHANGE = "NSE"
LOG_PATIENCE_S = 2.0
TICK_AGE_WARN_S, TICK_AGE_FAIL_S = 3.0, 30.0
CHECKPOINT_AGE_WARN_S = 30.0  # checkpoints are written every few seconds while ticks come
WAITING_WARN_S, WAITING_FAIL_S = 5.0, 60.0
LAG_WARN = 1_000
CALENDAR_WARN_DAYS = 60
EVENTS_LOOKED_AT = 200
MESSAGE_WITHIN = timedelta(minutes=3)  # a channel takes six a minute, and what is more waits its turn
MONITORING_WARN_S = 5.0  # what MiFID II, RTS 6, asks of alerts
OVER = (Phase.POST_CLOSE, Phase.CLOSED)
NO_HOURS = "no session hours are stored: run `manage.py bootstrap`"


@check("log", Group.READY)
def log() -> Status:
    """The Kafka-protocol log answers about its topics."""
    from alphapanda.eventlog.topic_admin import LogAdmin  # a client is opened only where the check runs

    topics = within(LOG_PATIENCE_S, lambda: LogAdmin().partitions())
    return ok(f"answers, {len(topics)} topics", value=len(topics))


@check("redis", Group.READY)
def redis() -> Status:
    client().ping()
    return ok("answers")


@check("read model", Group.READY)
def read_model() -> Status:
    built = readmodel.is_built()
    return ok("built") if built else fail("not built: run `manage.py rebuild_read_model`")


# ---- stages: how old is the last item that passed ----


def is_quiet() -> str:
    """Why no ticks are expected now, in words; empty while they are. A recording and a simulator have
    clocks of their own."""
    stream = readmodel.stream()
    if session := readmodel.OWN_CLOCKS.get(stream.get("source", "")):
        phase = calendar(EXCHANGE).phase_at(stream.get("last_at_ms") or 0)
        return f"the {session} session is over" if stream.get("last_at_ms") and phase in OVER else ""
    phase = calendar(EXCHANGE).phase_at(to_ms(timezone.now()))
    return "market closed" if phase is Phase.CLOSED else ""


def _flow(moment: datetime | None, *, warn_s: float, fail_s: float | None = None) -> Status:
    """A stage that passes something all the time while ticks come."""
    age = None if moment is None else age_s(moment)
    try:
        quiet = is_quiet()
    except UnknownMarket:
        return warn(NO_HOURS, age_s=age)
    if quiet:
        return ok(quiet, age_s=age)
    if age is None:
        return warn("no recent data: nothing has come through yet")
    if fail_s is not None and age >= fail_s:
        return fail("no recent data", age_s=age)
    return warn("no recent data", age_s=age) if age >= warn_s else ok("flowing", age_s=age)


def _last(found: QuerySet[Model], field: str = "created_at") -> datetime | None:
    return found.aggregate(at=Max(field))["at"]


def _event(moment: datetime | None) -> Status:
    """A stage that passes something only when a strategy trades: its age says nothing about health."""
    return ok("none yet") if moment is None else ok("last one", age_s=age_s(moment))


@check("tick received", Group.STAGE)
def tick_received() -> Status:
    received_ms = readmodel.stream().get("received_at_ms")
    moment = (
        datetime.fromtimestamp(received_ms / 1000, timezone.get_current_timezone()) if received_ms else None
    )
    return _flow(moment, warn_s=TICK_AGE_WARN_S, fail_s=TICK_AGE_FAIL_S)


@check("tick stream", Group.STAGE)
def tick_stream() -> Status:
    cursors = LogCursor.objects.filter(consumer=TICK_STREAM, topic=MARKET_TICKS)
    return _flow(_last(cursors, "updated_at"), warn_s=TICK_AGE_WARN_S, fail_s=TICK_AGE_FAIL_S)


@check("evaluated", Group.STAGE)
def evaluated() -> Status:
    """The newest checkpoint of the deployments that run."""
    running = Deployment.objects.filter(status=DeploymentStatus.RUNNING)
    if not running.exists():
        return ok("no deployment runs")
    return _flow(_last(running, "checkpointed_at"), warn_s=CHECKPOINT_AGE_WARN_S)


@check("signalled", Group.STAGE)
def signalled() -> Status:
    return _event(_last(Signal.objects.all()))


@check("decided", Group.STAGE)
def decided() -> Status:
    return _event(_last(Decision.objects.all()))


@check("submitted", Group.STAGE)
def submitted() -> Status:
    return _event(_last(Order.objects.all()))


@check("filled", Group.STAGE)
def filled() -> Status:
    return _event(_last(Fill.objects.all()))


@check("booked", Group.STAGE)
def booked() -> Status:
    return _event(_last(Posting.objects.filter(state=Posting.State.BOOKED), "booked_at"))


@check("published", Group.STAGE)
def published() -> Status:
    return _event(_last(OutboxEvent.objects.exclude(published_at=None), "published_at"))


# ---- queues: what waits, and for how long ----


@check("consumer lag", Group.QUEUE)
def consumer_lag() -> Status:
    """Messages of the log that the tick stream has still to read, as it last said."""
    lag = readmodel.stream().get("lag")
    if lag is None:
        return ok("the tick stream has not said")
    words = f"{lag:g} messages behind"
    return (warn if lag >= LAG_WARN else ok)(words, value=lag)


def _oldest(words: str, moment: datetime | None, count: int) -> Status:
    if moment is None:
        return ok("none", value=0)
    age = age_s(moment)
    told = f"{count} {words}"
    if age >= WAITING_FAIL_S:
        return fail(f"{told}: are trading workers and the sweeper running?", age_s=age, value=count)
    return (warn if age >= WAITING_WARN_S else ok)(told, age_s=age, value=count)


@check("waiting deployments", Group.QUEUE)
def waiting_deployments() -> Status:
    """The oldest chain that is not finished."""
    waiting = Deployment.objects.exclude(waiting=Waiting.NOTHING).exclude(status=DeploymentStatus.QUARANTINED)
    oldest = waiting.aggregate(at=Min("waiting_since"))["at"]
    return _oldest("waiting for their chain", oldest, waiting.count())


@check("unfinished rows", Group.QUEUE)
def unfinished_rows() -> Status:
    """Signals to decide, dues to match, fills to book."""
    found = (
        Signal.objects.filter(state=Signal.State.NEW),
        Due.objects.filter(state=Due.State.NEW),
        Posting.objects.filter(state=Posting.State.NEW),
    )
    ages = [rows.aggregate(at=Min("created_at"))["at"] for rows in found]
    oldest = min((at for at in ages if at), default=None)
    return _oldest("unfinished", oldest, sum(rows.count() for rows in found) if oldest else 0)


@check("monitoring latency", Group.STAGE)
def monitoring_latency() -> Status:
    """How long after it was committed an event reached the log, of the slowest in twenty of the latest."""
    rows = OutboxEvent.objects.exclude(published_at=None).order_by("-id")[:EVENTS_LOOKED_AT]
    waits = sorted((row.published_at - row.created_at).total_seconds() for row in rows.defer("body"))
    if not waits:
        return ok("nothing published yet")
    slow = waits[int(len(waits) * 0.95)] if len(waits) > 1 else waits[0]
    words = f"events were in the log within {slow:.2f} s, 19 of 20"
    return (warn if slow > MONITORING_WARN_S else ok)(words, value=round(slow, 3))


@check("child orders", Group.QUEUE)
def child_orders() -> Status:
    """No order of the last hour is larger than the signal it carries out, but for those that a later one changed."""
    since = timezone.now() - timedelta(hours=1)
    grown = Order.objects.filter(created_at__gt=since, modifications=0)
    count = grown.filter(quantity__gt=F("decision__signal__quantity")).count()
    return fail(f"{count} larger than decided: halt", value=count) if count else ok("none grew", value=0)


@check("alerts", Group.QUEUE)
def alerts_open() -> Status:
    """Alerts that nobody has acknowledged."""
    waiting = Alert.objects.filter(acknowledged_at=None)
    critical = waiting.filter(severity=Severity.CRITICAL).aggregate(at=Min("raised_at"), n=Count("pk"))
    if critical["n"]:
        age = age_s(critical["at"])
        return fail(f"{critical['n']} critical: `manage.py alerts`", age_s=age, value=critical["n"])
    count = waiting.count()
    return warn(f"{count}: `manage.py alerts`", value=count) if count else ok("none open", value=0)


@check("alert channels", Group.QUEUE)
def alert_channels() -> Status:
    """Messages to people leave, and are taken."""
    now = timezone.now()
    if overdue := deliveries_overdue(now - MESSAGE_WITHIN):
        words = f"{len(overdue)} messages do not leave: is the role alerts running?"
        return fail(words, age_s=age_s(overdue[0].due_at), value=len(overdue))
    there = channels_there().filter(is_enabled=True)
    failing = there.exclude(failing_since=None).aggregate(at=Min("failing_since"), n=Count("pk"))
    if failing["n"]:
        words = f"{failing['n']} of {there.count()} take nothing: see the page Alerts"
        return warn(words, age_s=age_s(failing["at"]), value=failing["n"])
    count = there.count()
    return ok(f"{count} told of alerts" if count else "none: alerts are on the page alone", value=count)


@check("approvals", Group.QUEUE)
def approvals() -> Status:
    """Entries that wait for a person."""
    found = Approval.objects.filter(state=Approval.State.WAITING).aggregate(at=Min("asked_at"), n=Count("pk"))
    if not found["n"]:
        return ok("no entry waits for a person", value=0)
    words = f"{found['n']} wait for a person: `manage.py approvals`"
    return warn(words, age_s=age_s(found["at"]), value=found["n"])


@check("quarantined", Group.QUEUE)
def quarantined() -> Status:
    names = list(
        Deployment.objects.filter(status=DeploymentStatus.QUARANTINED).values_list("name", flat=True)
    )
    return warn(", ".join(names), value=len(names)) if names else ok("none", value=0)


# ---- the house ----


@check("calendar", Group.HOUSE)
def calendar_horizon() -> Status:
    """How far ahead holidays are known, of the exchange of which least is known."""
    known = calendar_known_until()
    if not known:
        return warn(NO_HOURS, value=0)
    unknown = [exchange for exchange, last in known.items() if last is None]
    if unknown:
        return warn(f"no holidays of {', '.join(unknown)} are known: run `manage.py bootstrap`", value=0)
    last = min(day for day in known.values() if day)
    exchanges = ", ".join(exchange for exchange, day in known.items() if day == last)
    days = (last - ist_date(to_ms(timezone.now()))).days
    words = f"holidays of {exchanges} known until {last:%d %b %Y}"
    if days < CALENDAR_WARN_DAYS:
        return warn(f"{words}: add the next in the admin, Holidays", value=days)
    return ok(words, value=days)


@check("broker", Group.HOUSE)
def broker_tokens() -> Mapping[str, Status]:
    """Whether each account has a token, and until when."""
    now = timezone.now()
    found = {one.account.name: _token(one, now) for one in accounts_now(now=now)}
    return found or {"": ok("no broker account is active")}


def _token(one: AccountNow, now: datetime) -> Status:
    if one.session is None or one.state is SessionState.EXPIRED:
        return warn("no token today: log in to Kite on the page Broker", value=0)
    if one.state is SessionState.ENDED:
        return fail(f"{one.session.get_ended_by_display()}: log in to Kite on the page Broker", value=0)
    left_s = (one.session.dies_at - now).total_seconds()
    return ok(f"token until {timezone.localtime(one.session.dies_at):%d %b %H:%M} IST", value=round(left_s))


@check("processes", Group.HOUSE)
def processes() -> Status:
    """What `manage.py up` says of its processes; silent where something else runs them."""
    path = Path(settings.RUN_DIR, "processes.json")
    if not path.exists():
        return ok("not run by `manage.py up`")
    rows = json.loads(path.read_text())["processes"]
    restarts = sum(row["restarts"] for row in rows)
    words = f"{len(rows)} processes, {restarts} restarts"
    return (warn if restarts else ok)(words, value=restarts)
