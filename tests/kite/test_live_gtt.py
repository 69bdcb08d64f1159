"""Triggers that operators ask for, from the intent to what the simulated Zerodha makes of them."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from accounts.models import AuditEntry
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Side
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.limits import Rates
from execution.domain.kite.account import Outside
from execution.domain.kite.budgets import Spent
from execution.domain.kite.gtt import GttStatus
from execution.gtt_models import Gtt, GttCall
from execution.models import BrokerDesk, ExternalOrder
from execution.services.live import account, calls, gtt_calls, gtt_looking, looking
from execution.services.live.gtt import (
    Asked,
    GttBusy,
    GttRefused,
    Wanted,
    gtt_delete,
    gtt_modify,
    gtt_place,
)
from risk.models import Alert
from risk.services import halts
from tests.kite.live import Live
from tests.kite.server import INFY, a_simulator, quoted, serving
from tests.kite_builders import snapshot
from tests.rows import a_deployment

pytestmark = pytest.mark.django_db(transaction=True)
RATES = Rates(other=1_000)  # the simulator counts by the machine's clock
FALLS_AT = 60  # seconds after the start, to 1395


@pytest.fixture
def authorised() -> int:
    """Of the shares, those that the broker may sell."""
    return 10


@pytest.fixture
def live(monkeypatch, authorised):
    """The account holds ten shares beside our books; the price falls after a minute."""
    ticks = [quoted(1500 if second < FALLS_AT else 1395, second) for second in range(600)]
    demat = {INFY: Demat(10, Decimal(1400), authorised=authorised)}
    with serving(a_simulator(ticks, demat=demat, rates=RATES)) as served:
        live = Live(served, monkeypatch)
        go(live)
        yield live


def go(live: Live, seconds: int = 3) -> None:
    """Let the broker's process work for so long, each answer and each look heard at once."""
    step_ms = 500 if seconds < 10 else 2_000
    for _ in range(seconds * 1_000 // step_ms):
        live.served.advance(step_ms)
        live.desk.round()
        reading = [live.desk._looking[0]] if live.desk._looking else []
        for future in [*live.desk._flying, *reading]:
            future.exception(10)
    live.desk.round()


def asked(live: Live, key: str = "k1") -> Asked:
    return Asked(key=key, actor="alice", reason="a net below it", now=live.now())


def wanted(**more: Any) -> Wanted:
    return Wanted(**({"quantity": 10, "stop": Decimal(1400), "last_price": Decimal(1500)} | more))


def placed(live: Live, key: str = "k1", **more: Any) -> Gtt:
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(**more), asked=asked(live, key))
    go(live)
    row.refresh_from_db()
    return row


def at_broker(live: Live) -> list[dict[str, Any]]:
    simulator = live.served.simulator
    return live.served.call(lambda: [simulator.gtts.row(one) for one in simulator.gtts.all.values()])


def armed(live: Live, *kinds: Kind, **more: Any) -> None:
    live.served.call(
        live.served.simulator.faults.arm, [Fault(kind=kind, on=["gtt"], **more) for kind in kinds]
    )


def test_a_trigger_is_asked_for_once_sent_once_and_stands(live):
    row = placed(live, target=Decimal(1600))
    again = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))

    (there,) = at_broker(live)
    assert (row.status, row.trigger_id, again.pk) == ("ACTIVE", there["id"], row.pk)
    assert there["condition"]["trigger_values"] == [1400, 1600]
    assert [order["price"] for order in there["orders"]] == [1386, 1600]
    assert GttCall.objects.get().state == "DONE"
    entry = AuditEntry.objects.get(action="gtt.place")
    assert (entry.actor, entry.reason, entry.details["gtt"]) == ("alice", "a net below it", str(row.pk))


def test_what_is_not_held_or_covered_already_is_refused(live):
    placed(live)
    ask = asked(live, "k2")

    with pytest.raises(GttRefused, match="10 of them covered"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=1), asked=ask)
    with pytest.raises(GttRefused, match="holds nothing as CNC"):
        gtt_place(instrument="NSE:SBIN", wanted=wanted(), asked=ask)
    with pytest.raises(GttRefused, match="is not below the price now"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(stop=Decimal(1501)), asked=ask)
    with pytest.raises(GttRefused, match="No price of NSE:INFY is known"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(last_price=None), asked=ask)
    assert len(at_broker(live)) == 1


def test_an_answer_that_was_lost_is_found_in_the_list_and_not_sent_again(live):
    armed(live, Kind.GATEWAY_504)
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    go(live, 5)
    assert GttCall.objects.get().http_status == 504

    row.refresh_from_db()
    (there,) = at_broker(live)
    assert (row.status, row.trigger_id, GttCall.objects.get().state) == ("ACTIVE", there["id"], "DONE")
    assert not Gtt.objects.filter(is_ours=False).exists()


def test_what_never_arrived_is_given_up_and_people_hear_of_it(live):
    armed(live, Kind.LOST)
    row = placed(live)
    assert GttCall.objects.get().state == "UNKNOWN"
    go(live, 180)

    row.refresh_from_db()
    assert (row.status, GttCall.objects.get().state, at_broker(live)) == ("NOT_PLACED", "REFUSED", [])
    assert "in vain" in Alert.objects.get(code="gtt_refused").text


def test_a_process_that_dies_before_it_sends_leaves_an_outcome_that_is_looked_for(live):
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    claimed = gtt_calls.claim(Spent(), live.now())
    gtt_calls.send(claimed, live.desk._signed())  # and dies before it can write down what came of it

    live.desk = live.begun()
    assert GttCall.objects.get().state == "UNKNOWN"
    go(live)

    row.refresh_from_db()
    assert (row.status, len(at_broker(live))) == ("ACTIVE", 1)
    assert calls.spent_today(to_ms(live.now())).placed == 0


def listed(live: Live) -> looking.Book:
    return gtt_looking.look(live.desk._signed(), live.now(), lambda: None)


def test_what_is_listed_before_its_answer_is_heard_is_not_taken_for_that_of_others(live):
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    claimed = gtt_calls.claim(Spent(), live.now())
    outcome = gtt_calls.send(claimed, live.desk._signed())
    live.served.advance(100)
    gtt_looking.take(listed(live), live.now())
    gtt_calls.record(UUID(claimed.call.id), outcome, live.now())

    row.refresh_from_db()
    assert (row.status, Gtt.objects.count()) == ("ACTIVE", 1)


def test_a_list_that_is_older_than_a_change_does_not_undo_it(live):
    row = placed(live)
    before = listed(live)
    live.served.advance(100)
    gtt_modify(gtt_id=row.pk, wanted=wanted(stop=Decimal(1390)), asked=asked(live, "k2"))
    go(live)
    gtt_looking.take(before, live.now())

    row.refresh_from_db()
    assert row.terms["legs"][0]["trigger_e4"] == 13_900_000
    go(live, 40)
    assert not Alert.objects.filter(code__startswith="gtt").exists()


def test_after_a_start_it_waits_for_a_list_that_can_be_read(live):
    garbage = Fault(kind=Kind.GARBAGE, on=["/gtt/triggers"])
    live.served.call(live.served.simulator.faults.arm, [garbage])
    live.desk = live.begun()
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    go(live, 3)
    assert row.calls.get().state == "READY"
    go(live, 8)

    row.refresh_from_db()
    assert row.status == "ACTIVE"


def test_a_change_whose_answer_is_lost_is_told_from_one_that_never_arrived(live):
    row = placed(live)
    armed(live, Kind.GATEWAY_504)
    gtt_modify(gtt_id=row.pk, wanted=wanted(stop=Decimal(1390)), asked=asked(live, "k2"))
    go(live, 5)
    row.refresh_from_db()
    assert (row.terms["legs"][0]["trigger_e4"], row.calls.get(key="k2").state) == (13_900_000, "DONE")

    armed(live, Kind.LOST)
    gtt_modify(gtt_id=row.pk, wanted=wanted(stop=Decimal(1380)), asked=asked(live, "k3"))
    go(live, 170)
    row.refresh_from_db()
    assert (row.terms["legs"][0]["trigger_e4"], row.calls.get(key="k3").state) == (13_900_000, "REFUSED")


def test_it_is_deleted_on_demand_only_while_it_stands(live):
    row = placed(live)
    armed(live, Kind.GATEWAY_504)
    gtt_delete(gtt_id=row.pk, asked=asked(live, "k2"))
    with pytest.raises(GttBusy, match="under way"):
        gtt_delete(gtt_id=row.pk, asked=asked(live, "k3"))
    go(live, 5)

    row.refresh_from_db()
    assert (row.status, at_broker(live)[0]["status"], row.calls.get(key="k2").state) == (
        "DELETED",
        "deleted",
        "DONE",
    )
    with pytest.raises(GttBusy, match="only an active GTT"):
        gtt_delete(gtt_id=row.pk, asked=asked(live, "k3"))
    assert not Alert.objects.filter(code="gtt_ended").exists()


def test_the_order_that_a_trigger_makes_is_an_order_of_others_that_names_it(live):
    row = placed(live, stop_limit=Decimal(1390))
    go(live, FALLS_AT + 45)

    row.refresh_from_db()
    order = ExternalOrder.objects.get()
    assert (row.status, order.gtt_id, row.orders[0]["order_id"]) == (
        "TRIGGERED",
        row.pk,
        order.broker_order_id,
    )
    assert Alert.objects.get(code="gtt_fired").severity == "WARNING"


@pytest.mark.parametrize("authorised", [0])
def test_a_trigger_that_fires_without_an_order_is_critical(live):
    row = placed(live)
    go(live, FALLS_AT + 45)

    row.refresh_from_db()
    assert (row.status, row.orders[0]["order_id"]) == ("TRIGGERED", "")
    found = Alert.objects.get(code="gtt_order_failed")
    assert found.severity == "CRITICAL"
    assert "need to be authorised" in found.text


def test_a_trigger_of_others_is_kept_and_never_touched(live):
    simulator = live.served.simulator
    name = {"exchange": "NSE", "tradingsymbol": "INFY"}
    order = name | {"transaction_type": "SELL", "quantity": 4, "order_type": "LIMIT", "product": "CNC"}
    fields = {
        "type": "single",
        "condition": json.dumps(name | {"trigger_values": [1310], "last_price": 1500}),
        "orders": json.dumps([order | {"price": 1300}]),
    }
    trigger_id = live.served.call(simulator.gtts.place, fields, simulator.clock.now_ms())
    go(live, 40)

    row = Gtt.objects.get()
    assert (row.trigger_id, row.is_ours, row.quantity, row.status) == (trigger_id, False, 4, "ACTIVE")
    with pytest.raises(GttBusy, match="made elsewhere"):
        gtt_delete(gtt_id=row.pk, asked=asked(live))
    with pytest.raises(GttRefused, match="4 of them covered"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    assert placed(live, quantity=6).status == "ACTIVE"


def test_a_halt_leaves_triggers_where_they_are_says_so_once_and_holds_none_up(live):
    row = placed(live, quantity=4)
    halts.halt_throw(level="GLOBAL", step="CANCEL", reason="drill", actor="alice", now=live.now())
    after = placed(live, "k2", quantity=6)
    go(live, 10)

    assert (row.status, after.status) == ("ACTIVE", "ACTIVE")
    assert [one["status"] for one in at_broker(live)] == ["active", "active"]
    told = Alert.objects.get(code="gtts_stand")
    assert "SELL 4 NSE:INFY" in told.text


def test_what_is_closed_meanwhile_is_not_placed_any_more_and_what_stands_is_told(live, monkeypatch):
    placed(live, quantity=4, stop=Decimal(1300))
    ask = gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=6), asked=asked(live, "k2"))
    monkeypatch.setattr(account, "outside_of", lambda _desk: Outside())
    go(live, 100)

    ask.refresh_from_db()
    assert (ask.status, ask.calls.get().state, len(at_broker(live))) == ("NOT_PLACED", "DROPPED", 1)
    assert "0 units are held" in ask.reason
    told = Alert.objects.get(code="gtt_exceeds")
    assert "`manage.py gtt delete" in told.text
    assert told.severity == "CRITICAL"


def test_what_closes_nothing_any_more_is_told_at_the_next_look_and_each_day(live, monkeypatch):
    row = placed(live, quantity=4, stop=Decimal(1300))
    monkeypatch.setattr(account, "outside_of", lambda _desk: Outside())
    go(live, 40)
    told = Alert.objects.get(code="gtt_exceeds")
    assert ("or it opens a position" in told.text, told.severity) == (True, "CRITICAL")
    Alert.objects.update(acknowledged_at=live.now(), acknowledged_by="alice")

    gtt_looking._exceeds(row, "0 units are held", live.now(), is_entry=True)
    assert Alert.objects.count() == 1
    gtt_looking._exceeds(row, "0 units are held", live.now() + timedelta(days=1), is_entry=True)
    assert Alert.objects.filter(code="gtt_exceeds").count() == 2


def test_what_covers_too_much_is_told_each_time_that_it_begins_to(live):
    row = placed(live, quantity=4)
    for number in range(2):
        at = live.now() + timedelta(days=number)
        for problem, later in (("6 units are held", 0), ("6 units are held", 61), ("", 90)):
            row.refresh_from_db()
            gtt_looking._exceeds(row, problem, at + timedelta(seconds=later), is_entry=False)
        assert Alert.objects.filter(code="gtt_exceeds").count() == number + 1
        Alert.objects.update(acknowledged_at=at, acknowledged_by="alice")


def test_a_flatten_says_that_what_stands_opens_positions(live):
    placed(live, quantity=4)
    by = {"level": "GLOBAL", "reason": "drill", "actor": "alice", "now": live.now()}
    on_paper = by | {"level": "DEPLOYMENT", "deployment_id": a_deployment("on paper").pk}
    halts.halt_throw(step="FLATTEN", **on_paper)
    gtt_looking.tell_standing(live.now())
    assert not Alert.objects.exists()
    halts.halt_throw(step="CANCEL", **by)
    gtt_looking.tell_standing(live.now())
    halts.halt_throw(step="FLATTEN", **by)
    gtt_looking.tell_standing(live.now())

    found = Alert.objects.filter(code="gtts_stand").order_by("id")
    assert [alert.severity for alert in found] == ["WARNING", "CRITICAL"]
    assert "each opens a position once what it covers is closed" in found[1].text


def test_what_orders_at_work_may_close_is_not_covered_once_more(live):
    """A resting order of others, and one of ours: each may sell, and the trigger too."""
    selling = {"instrument": "NSE:INFY", "side": Side.SELL, "product": "CNC"}
    row = ExternalOrder(
        broker_order_id="1",
        instrument="NSE:INFY",
        snapshot=msgspec.to_builtins(snapshot(**selling, quantity=7, filled=1)),
        seen_at=live.now(),
    )
    row.save()
    with pytest.raises(GttRefused, match="6 by orders at work: 5 are too many"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=5), asked=asked(live))
    live.want(side="SELL", quantity=3, product="CNC", order_type="LIMIT", limit_price_e4=16_000_000)
    with pytest.raises(GttRefused, match="9 by orders at work: 2 are too many"):
        gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=2), asked=asked(live))
    gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=1), asked=asked(live))


def test_what_cannot_leave_is_dropped_after_five_minutes(live):
    BrokerDesk.objects.update(stopped="no token")
    row = gtt_place(instrument="NSE:INFY", wanted=wanted(), asked=asked(live))
    live.served.advance(gtt_calls.PATIENCE_MS - 2_000)
    go(live, 1)
    assert row.calls.get().state == "READY"
    go(live, 3)

    row.refresh_from_db()
    assert (row.status, row.calls.get().state, at_broker(live)) == ("NOT_PLACED", "DROPPED", [])


def test_a_trigger_that_somebody_ends_elsewhere_protects_nothing_any_more(live):
    row = placed(live)
    simulator = live.served.simulator
    live.served.call(simulator.gtts.delete, row.trigger_id, simulator.clock.now_ms())
    go(live, 40)

    row.refresh_from_db()
    assert GttStatus(row.status) is GttStatus.DELETED
    assert "protects nothing" in Alert.objects.get(code="gtt_ended").text
