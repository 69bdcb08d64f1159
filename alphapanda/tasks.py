"""Chores by the timetable of beat; each may run any number of times."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from accounts.broker import tokens_forget
from accounts.selectors import sessions_refused
from alphapanda import backfills, logs
from alphapanda.core.clock import ist_date, ist_text, to_ms
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Severity
from alphapanda.eventlog import outbox
from alphapanda.push import readmodel
from alphapanda.push.readmodel import ReadModelUnavailable
from alphapanda.research import stored
from execution.selectors import orders_oversized, orders_rejected_in_a_row
from marketdata.domain.master import Change, ChangeKind
from marketdata.selectors import changes_touching
from marketdata.services.kite_candles import candles_forget
from marketdata.services.master import in_words
from portfolio.audit import books_differences
from risk.services.alerts import alert_raise
from strategies.domain.errors import in_short
from strategies.models import Deployment
from strategies.services.approvals import approvals_expire

log = logs.channel("audit")
TOLD_FOR = timedelta(days=3)  # how long after its loading a list is looked at
REJECTED_IN_A_ROW, REJECTED_WITHIN = (
    3,
    timedelta(hours=8),
)  # one may be bad luck; a session is shorter than a day


@shared_task(name="alphapanda.audit")
def audit(**_newer: object) -> None:
    """Rebuild all books from their fills and from the ledger, and hold orders against what was decided; an error in
    the log and an alert where they do not add up."""
    _look_at_orders()
    found = books_differences()
    tell = log.info if found.adds_up else log.error
    tell(
        "portfolio.books.audited",
        books=found.books,
        fills=found.fills,
        differences=len(found.differences),
        unbalanced_fills=len(found.unbalanced_fills),
    )
    if not found.adds_up:
        alert_raise(
            code="books",
            subject="all books",
            text=f"{len(found.differences)} figures and {len(found.unbalanced_fills)} fills do not add up",
            severity=Severity.CRITICAL,
            now=timezone.now(),
        )


def _look_at_orders() -> None:
    """No order may be larger than what was decided: that is how Knight Capital lost its house."""
    found = list(map(str, orders_oversized().order_by("placed_at_ms").values_list("id", flat=True)[:10]))
    if found:
        alert_raise(
            code="oversized_order",
            subject="orders",
            text=f"larger than what was decided: {', '.join(found)}",
            severity=Severity.CRITICAL,
            now=timezone.now(),
        )


@shared_task(name="alphapanda.watch")
def watch(**_newer: object) -> None:
    """Raise an alert for every deployment that came into quarantine, once for each time, or whose orders are rejected
    one after the other, once a day, for every instrument in use that a list has changed, and for every token that
    the broker ended; end what waited for a person too long."""
    _say_that_it_rang()
    approvals_expire(now=timezone.now())
    _tell_of_instruments()
    _tell_of_sessions()
    _tell_of_rejections()
    for row in Deployment.objects.filter(status=DeploymentStatus.QUARANTINED).defer(
        "checkpoint", "consequences"
    ):
        alert_raise(
            code="quarantine",
            subject=f"deployment:{row.name} at step {row.step}, revision {row.revision}",
            deployment_id=row.id,
            text=in_short(row.error) or "no error was stored",
            severity=Severity.CRITICAL,
            now=timezone.now(),
            once=True,
        )


def _say_that_it_rang() -> None:
    """For the health check of beat; without Redis nothing would have rung."""
    with suppress(ReadModelUnavailable):
        readmodel.session_write(beat_at_ms=to_ms(timezone.now()))


def _tell_of_instruments() -> None:
    """Raise an alert, once, for everything that a recent list changed of what deployments and positions use."""
    now = timezone.now()
    for row in changes_touching(since=now - TOLD_FOR):
        words = in_words(Change(ChangeKind(row.kind), row.instrument, row.field, row.before, row.after))
        used = ", ".join(f"{use['kind']} {use['name']}" for use in row.uses)
        alert_raise(
            code="instrument_changed",
            subject=f"{row.instrument}: {words}, list of {ist_text(to_ms(row.load.loaded_at))[:16]}",
            text=f"{row.instrument} {words}: used by {used}; see whether quantities and prices still fit",
            severity=Severity.WARNING,
            now=now,
            once=True,
        )


def _tell_of_sessions() -> None:
    """Raise an alert, once, for every session that the broker ended before its day was over. It is critical, so that
    entries stop while nobody looks, where orders go to the broker; paper trading goes on."""
    now = timezone.now()
    severity = Severity.CRITICAL if settings.ZERODHA_ENABLED else Severity.WARNING
    for session in sessions_refused(since=now - TOLD_FOR):
        alert_raise(
            code="broker_session",
            subject=str(session),
            text=f"Kite refused the token ({session.words}): log in on the page Broker; nothing is sent until then",
            severity=severity,
            broker=Broker.ZERODHA,
            now=now,
            once=True,
        )


def _tell_of_rejections() -> None:
    """It is a warning: each refusal was the broker's, nothing is at work, and a strategy may be right to try again."""
    now = timezone.now()
    for order in orders_rejected_in_a_row(count=REJECTED_IN_A_ROW, since=now - REJECTED_WITHIN):
        alert_raise(
            code="orders_rejected",
            subject=f"deployment:{order.deployment.name} on {ist_date(to_ms(now))}",
            text=f"its last {REJECTED_IN_A_ROW} orders were rejected, {order.instrument} with: {order.reason}",
            severity=Severity.WARNING,
            deployment_id=order.deployment_id,
            now=now,
            once=True,
        )


@shared_task(name="alphapanda.prune")
def prune(**_newer: object) -> None:
    """Drop events that were published long ago, tokens whose day is over, and candles that may not be kept."""
    now = timezone.now()
    outbox.prune(now=now)
    tokens_forget(now=now)
    candles_forget(now=now)


@shared_task(name=backfills.TASK)
def fetch_candles(**_newer: object) -> None:
    """Fetch the candles that were asked for, one after the other."""
    while backfills.run_next():
        pass


@shared_task(name=stored.TASK)
def backtests(**_newer: object) -> None:
    """Carry out the stored backtests that wait, one after the other; put back those whose worker has died."""
    stored.requeue_silent(timezone.now())
    while stored.run_next():
        pass
