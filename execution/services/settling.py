"""What orders and books came to, written for the deployment's machine, once nothing of it is unfinished."""

from __future__ import annotations

import msgspec

from alphapanda.core.vocabulary import Broker, Waiting
from execution import loading
from execution.domain.settlement import consequences
from marketdata.domain.ticks import tick_from_json
from portfolio import selectors as books
from portfolio.domain.books import BookedFill
from risk.domain.ladder import look_ms
from risk.services.ladder import ladder_check, ladder_rung
from strategies import loading as deployments
from strategies.domain.signals import Mark
from strategies.models import Deployment, Due, Report

LIVE = Broker.ZERODHA


def settle_if_finished(deployment: Deployment) -> bool:
    """Let a deployment, its row locked, read on where nothing of it is unfinished; whether it may."""
    if deployment.waiting != Waiting.NOTHING:
        if loading.is_unfinished(deployment):
            return False
        _settle(deployment)
    return True


def _settle(deployment: Deployment) -> None:
    """Write what orders and books came to; after a due item its step is matched."""
    step = deployment.step + 1
    is_matched = deployment.waiting == Waiting.DUE
    before = deployments.consequences_of(deployment)
    report = loading.report_at(deployment.id, step) if is_matched and deployment.broker == LIVE else None
    is_looked = is_matched and before.is_laddered and report is None
    rung, check_ms = _laddered(deployment, step if is_looked else None, is_new=not before.is_laddered)
    holdings, names = books.held_of(deployment.id)
    orders = [loading.paper_order(row) for row in loading.orders_open(deployment.id)]
    after = consequences(
        holdings,
        orders,
        names=names | {order.token: order.instrument for order in orders},
        matched_step=step if is_matched else before.matched_step,
        fills=_fills(deployment, step, report) if is_matched else (),
        rung=rung,
        check_ms=check_ms,
        is_watched=deployment.broker != LIVE,
    )
    deployment.consequences = msgspec.to_builtins(after, str_keys=True)
    deployment.waiting = Waiting.NOTHING
    deployment.waiting_since = None
    deployment.save(update_fields=["consequences", "waiting", "waiting_since"])


def _fills(deployment: Deployment, step: int, report: Report | None) -> list[BookedFill]:
    """What the machine hears of at a step; a report may have been booked before, while nobody listened."""
    if report is None:
        return loading.fills_of(deployment.id, step=step)
    return loading.fills_with([fill["id"] for fill in report.data["fills"]])


def _laddered(deployment: Deployment, looked_step: int | None, *, is_new: bool) -> tuple[int, int]:
    """The rung of the loss ladder, and when losses are looked at next; at a due item that tells prices they are looked
    at now, where the ladder is new with the next item."""
    if looked_step is None:
        at_ms = deployment.at_ms
        rung = ladder_rung(deployment, at_ms) if deployment.is_laddered else 0
    else:
        due = Due.objects.get(deployment_id=deployment.id, step=looked_step)
        at_ms = max(deployment.at_ms, tick_from_json(due.item).at_ms)
        marks = msgspec.convert(due.marks, dict[int, Mark], strict=False)
        rung = ladder_check(deployment, marks=marks, at_ms=at_ms, step=looked_step)
    if not deployment.is_laddered:
        return 0, 0
    return rung, look_ms(at_ms, is_new=is_new)
