"""Applying corporate actions: once, ledgered, told, and only where deployments stand still."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.db.models import ProtectedError

from accounts.models import AuditEntry
from alphapanda.core.clock import ist_ms
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Side
from alphapanda.eventlog.models import OutboxEvent
from execution.services.corporate import DeploymentHolds, ReasonMissing, corporate_action_apply
from marketdata.models import Instrument
from portfolio.audit import books_differences
from portfolio.corporate import ActionNotFound, ActionRefused, ActionTooLate, action_add, action_apply
from portfolio.models import ActionPosting, Book, CorporateAction, LedgerEntry, Position, Snapshot
from portfolio.selectors import events_booked
from portfolio.services import PostingRequest, postings_book, postings_receive
from strategies.models import Deployment
from tests.portfolio.rows import book_make, request
from tests.rows import a_decision, a_deployment, a_signal, an_order

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
EX_DATE = date(2019, 7, 10)  # the day after the fills
DAY_MS = 86_400_000


def trade(deployment: UUID, number: int, side: Side, quantity: int, *, days: int = 0) -> None:
    one = request(deployment, number, side, quantity, 700)
    fill = msgspec.structs.replace(one.fill, at_ms=one.fill.at_ms + days * DAY_MS)
    postings_receive([PostingRequest(fill, one.event_id, one.correlation_id)])
    postings_book(deployment_id=deployment, now=NOW)


def a_holder(quantity: int = 10, *, status: str = "STOPPED") -> Deployment:
    """A deployment that holds INFY, bought on 2019-07-09 at 700."""
    deployment = a_deployment("ema", status=status, consequences={"positions": {"408065": quantity}})
    book_make("ema")
    trade(deployment.pk, 1, Side.BUY, quantity)
    return deployment


def an_action(kind: str = "BONUS", *, new: int = 0, old: int = 0, amount: str = "0") -> CorporateAction:
    if kind != "DIVIDEND":
        new, old = new or 1, old or 1
    return action_add(
        instrument="NSE:INFY", kind=kind, ex_date=EX_DATE, new=new, old=old, amount=Decimal(amount)
    )


def apply(action: CorporateAction) -> list[ActionPosting]:
    return corporate_action_apply(action_id=action.pk, actor="alice", reason="circular", now=NOW)


def infy() -> Position:
    return Position.objects.get(instrument__tradingsymbol="INFY")


def test_a_bonus_reaches_books_deployment_audit_and_log_once() -> None:
    deployment = a_holder()
    action = an_action()
    before = OutboxEvent.objects.count()

    first, again = apply(action), apply(action)

    assert [(p.quantity_before, p.quantity_after) for p in first] == [(10, 20)]
    assert [p.pk for p in again] == [p.pk for p in first]
    assert (infy().quantity, infy().cost) == (20, 7_000)
    deployment.refresh_from_db()
    assert deployment.consequences["positions"] == {"408065": 20}
    assert deployment.revision == 1
    assert [e.action for e in AuditEntry.objects.all()] == ["corporate_action.apply"]
    new = OutboxEvent.objects.order_by("id")[before:]
    assert sorted(e.type for e in new) == ["operator.acted", "pnl.snapshot"]
    assert books_differences().adds_up


def test_a_dividend_is_paid_to_a_running_deployment_for_what_it_held_then() -> None:
    deployment = a_holder(status="RUNNING")
    trade(deployment.pk, 2, Side.SELL, 10, days=1)

    apply(an_action("DIVIDEND", amount="8.5"))

    entries = LedgerEntry.objects.exclude(account__startswith="CHARGES").filter(at_ms=action_ms())
    assert {e.account: e.amount for e in entries} == {"CASH": 85, "REALISED:dividend": -85}
    assert infy().realised == 85
    book = Book.objects.get()
    last = Snapshot.objects.order_by("-created_at").first()
    assert last is not None
    assert (last.cash, last.realised, last.at_ms) == (book.cash, 85, action_ms())
    assert books_differences().adds_up


def action_ms() -> int:
    return CorporateAction.objects.get().action.at_ms


def test_the_audit_sees_an_action_that_is_not_in_the_books() -> None:
    a_holder()
    apply(an_action("SPLIT", new=5, old=1))
    Position.objects.update(quantity=10)

    audit = books_differences()

    assert [(d.figure, d.stored, d.expected) for d in audit.differences if d.origin == "fills"] == [
        ("quantity", 10, 50)
    ]


def test_fills_after_a_split_come_after_it_in_a_rebuild() -> None:
    deployment = a_holder()
    apply(an_action("SPLIT", new=5, old=1))
    trade(deployment.pk, 2, Side.SELL, 50, days=1)

    kinds = [type(event).__name__ for event in events_booked(Book.objects.get())]
    assert kinds == ["BookedFill", "BookedAction", "BookedFill"]
    assert infy().quantity == 0
    assert books_differences().adds_up


def test_who_held_nothing_before_the_ex_date_gets_nothing() -> None:
    deployment = a_deployment("ema", status="STOPPED")
    book_make("ema")
    trade(deployment.pk, 1, Side.BUY, 10, days=1)

    assert apply(an_action()) == []
    assert infy().quantity == 10
    assert CorporateAction.objects.get().applied_at == NOW


def test_a_split_is_too_late_where_the_book_has_traded_since() -> None:
    deployment = a_holder()
    trade(deployment.pk, 2, Side.SELL, 5, days=1)

    with pytest.raises(ActionTooLate, match="ema has traded NSE:INFY since"):
        apply(an_action())
    assert infy().quantity == 5


def test_a_split_that_leaves_part_of_a_share_changes_nothing() -> None:
    a_holder(10)

    with pytest.raises(ActionRefused, match="10 of NSE:INFY do not divide"):
        apply(an_action("SPLIT", new=1, old=3))
    assert CorporateAction.objects.get().applied_at is None


def test_fills_that_wait_to_be_booked_come_first() -> None:
    deployment = a_holder()
    postings_receive([request(deployment.pk, 2, Side.SELL, 5, 700)])

    with pytest.raises(ActionTooLate, match="wait to be booked"):
        apply(an_action())


@pytest.mark.parametrize("problem", ["running", "waiting", "order", "bracket"])
def test_a_deployment_that_would_go_on_with_old_prices_holds_it_up(problem: str) -> None:
    deployment = a_holder(status="RUNNING" if problem == "running" else "STOPPED")
    rows = Deployment.objects.filter(pk=deployment.pk)
    if problem == "waiting":
        rows.update(waiting="SIGNALS")
    if problem == "order":
        an_order(a_decision(a_signal(deployment)))
    if problem == "bracket":
        guards = {"protections": {408065: [{"quantity": 10}]}, "alarmed_ms": 0}
        names = {408065: "NSE:INFY"}
        rows.update(checkpoint=msgspec.msgpack.encode({"step": 3, "guards": guards, "names": names}))

    with pytest.raises(DeploymentHolds, match="ema holds the share"):
        apply(an_action())
    assert infy().quantity == 10
    apply_dividend = an_action("DIVIDEND", amount="1")
    assert len(apply(apply_dividend)) == 1


def test_an_applied_action_is_fixed() -> None:
    a_holder()
    action = an_action()
    CorporateAction.objects.update(note="not applied yet")
    apply(action)

    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        CorporateAction.objects.update(new=5)
    with pytest.raises(ProtectedError):
        CorporateAction.objects.all().delete()
    with pytest.raises(ActionTooLate, match="was applied"):
        an_action(new=5)


def test_what_makes_no_sense_is_refused_with_its_reason() -> None:
    book_make("ema")
    Instrument.objects.create(
        exchange="NFO", tradingsymbol="INFY25DECFUT", instrument_token=1, exchange_token=1, tick_size=0,
        lot_size=400, instrument_type="FUT", segment="NFO-FUT",
    )  # fmt: skip
    future = action_add(instrument="NFO:INFY25DECFUT", kind="SPLIT", ex_date=EX_DATE, new=2, old=1)
    coming = action_add(instrument="NSE:INFY", kind="SPLIT", ex_date=date(2026, 11, 21), new=2, old=1)
    with pytest.raises(ActionRefused, match="only shares"):
        action_apply(action_id=future.pk, now=NOW)
    with pytest.raises(ActionTooLate, match="has not come"):
        action_apply(action_id=coming.pk, now=NOW)
    with pytest.raises(ActionNotFound):
        action_apply(action_id=UUID(int=1), now=NOW)
    with pytest.raises(ActionRefused, match="no instrument 'NSE:NOSUCH'"):
        action_add(instrument="NSE:NOSUCH", kind="BONUS", ex_date=EX_DATE, new=1, old=1)
    with pytest.raises(ActionRefused, match="needs `amount`"):
        an_action("DIVIDEND")
    with pytest.raises(ReasonMissing):
        corporate_action_apply(action_id=coming.pk, actor="alice", reason=" ", now=NOW)


def test_entered_twice_it_is_one_row_and_keeps_the_last_figures() -> None:
    book_make("ema")
    assert an_action(new=1).pk == an_action(new=2).pk
    assert CorporateAction.objects.get().new == 2


def test_the_command_adds_and_applies(capsys: pytest.CaptureFixture[str]) -> None:
    a_holder()
    named = ("NSE:INFY", "BONUS", "2019-07-10")
    call_command("corporate_action", "add", *named, "--new", "1", "--old", "1")
    call_command("corporate_action", "apply", *named, "--reason", "circular", "--json")

    assert '"applied_at": "20' in capsys.readouterr().out
    assert infy().quantity == 20
    for bad in (
        ("apply", "NSE:INFY", "SPLIT", "2019-07-10"),
        ("add", "NSE:INFY", "SPLIT", "soon"),
        ("add", "NSE:INFY", "DIVIDEND", "2019-07-10", "--amount", "x"),
    ):
        with pytest.raises((CommandError, Refusal)):
            call_command("corporate_action", *bad)


def test_the_ex_date_begins_at_midnight_in_india() -> None:
    book_make("ema")
    assert an_action().action.at_ms == ist_ms(EX_DATE, datetime.min.time())
