"""Orders at a broker that goes wrong, by processes that die: what `manage.py kite_faults` proves, in short."""

from __future__ import annotations

import msgspec
import pytest

from alphapanda.core.vocabulary import Severity
from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.parsing import Changed
from alphapanda.proof import kite_faults, kite_kills, kite_outage
from alphapanda.proof.kite_compared import Comparison
from alphapanda.proof.kite_drawn import Act
from alphapanda.proof.kite_parts import PRICE_E4
from alphapanda.proof.kite_world import set_up
from execution.domain.kite.orders import LiveOrder
from execution.services.live import killing, ways_out
from portfolio.models import Position
from risk.models import KillSwitch
from risk.services.alerts import alert_raise
from tests.kite.test_live_way_out import DEAR, at_work, held, pass_ms, throw

SEED = 20261128
PARTS, EACH = 20, 10  # the proof runs 2,000


@pytest.mark.django_db
@pytest.mark.parametrize("part", range(PARTS))
def test_the_books_equal_the_brokers_whatever_goes_wrong(part):
    set_up()
    runs = [kite_faults.run(SEED, number) for number in range(part * EACH, (part + 1) * EACH)]
    assert {run.scenario.number: (run.scenario.told(), run.wrong) for run in runs if run.wrong} == {}
    assert sum(len(run.fired) + len(run.died) for run in runs) > EACH // 2  # or it has proved little


def test_a_scenario_is_the_same_for_the_same_seed():
    assert kite_faults.scenario(SEED, 7) == kite_faults.scenario(SEED, 7)
    assert kite_faults.scenario(SEED, 7) != kite_faults.scenario(SEED, 8)


def test_an_exit_that_does_not_wait_for_the_cancellation_beside_it_is_found(world, monkeypatch):
    monkeypatch.setattr(ways_out, "hindrance", lambda row, now_ms: None)
    held(world)
    resting = at_work(world, **DEAR, quantity=10)
    world.broker.faults.arm([Fault(kind=Kind.LATE, on=["cancel"], ms=(2_000, 2_000))])
    play = kite_faults._Play(world, kite_faults.scenario(SEED, 7))
    play.left.append((resting, 0, kite_faults.leave_beside(world, resting, 10)))

    pass_ms(world, 10_000)

    assert ["sent before" in told for told in play._hasty()] == [True]


def test_an_exit_of_before_a_kill_switch_that_works_on_is_found(world, monkeypatch):
    held(world)
    at_work(world, **DEAR, quantity=4)
    monkeypatch.setattr(killing, "sweep", lambda now: 0)
    throw(world, "PAUSE")
    KillSwitch.objects.update(step="CANCEL")  # of which nobody else hears
    world.want(**DEAR, quantity=6)
    pass_ms(world, 10_000)

    wrong = [told for told in Comparison(world).wrong() if "kill switch" in told]

    assert len(wrong) == 1


def test_an_order_that_works_on_after_its_deployment_heard_of_its_end_is_found(world, monkeypatch):
    monkeypatch.setattr(LiveOrder, "_has_legs_to_come", False)  # an iceberg that ends with each leg
    near = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 + 10_000}
    at_work(world, **near, quantity=800, variety="iceberg", iceberg_legs=2)
    world.broker.book.habits = Habits(ladder_ms=8_000)  # between two legs it is looked at
    pass_ms(world, 100_000)

    wrong = [told for told in Comparison(world).wrong() if "after it was" in told]

    assert [told.split(": ")[1] for told in wrong] == ["OPEN PENDING after it was COMPLETE"]


def test_an_order_that_was_made_larger_than_anybody_asked_is_found(world):
    order = world.want(quantity=10, order_type="LIMIT", limit_price_e4=PRICE_E4 + 10_000)
    world.desk.round()
    (broker_id,) = world.broker.book.orders
    world.broker.book.modification(broker_id, Changed(quantity=20), at_ms=world.broker.clock.now_ms())()
    pass_ms(world, 20_000)

    wrong = [told for told in Comparison(world).wrong() if "have traded" in told]

    assert wrong == [f"{order.id}: 20 units of 10 have traded"]


def test_a_position_that_is_held_on_after_a_flatten_is_found(world, monkeypatch):
    held(world)
    monkeypatch.setattr(kite_faults, "see", lambda world: None)  # it knows no time, and asks for nothing
    play = kite_faults._Play(world, kite_faults.scenario(SEED, 7))
    play._do(Act(0, "flatten"))
    pass_ms(world, 20_000)

    assert ["held on after a flatten" in told for told in play._held_on()] == [True]


def test_a_flatten_closes_what_is_held(world):
    held(world)
    play = kite_faults._Play(world, kite_faults.scenario(SEED, 7))
    play._do(Act(0, "flatten"))
    pass_ms(world, 60_000)

    assert [row.quantity for row in Position.objects.all()] == [0]
    assert list(play._held_on()) == []


def test_an_alert_for_nothing_is_found(world):
    alert_raise(code="order_not_placed", subject="7", text="", severity=Severity.CRITICAL, now=world.now())
    play = kite_faults._Play(world, kite_faults.scenario(SEED, 7))
    play.told = msgspec.structs.replace(play.told, acts=())

    assert list(play._called()) == ["an alert order_not_placed for nothing"]


def test_what_the_scenarios_are_made_of():
    acts = [act for number in range(200) for act in kite_faults.scenario(SEED, number).acts]
    kinds = {act.kind for act in acts}
    types = {act.fields.get("order_type", "MARKET") for act in acts if act.kind == "order"}
    assert kinds == {
        "order", "cancel", "modify", "change", "kill", "release", "exit", "flatten", "leave", "other", "logged out",
        "login",
    }  # fmt: skip
    assert types == {"MARKET", "LIMIT", "SL", "SL-M"}
    assert {act.fields.get("validity") for act in acts} == {None, "IOC", "TTL"}
    assert {act.fields["level"] for act in acts if "level" in act.fields} == {
        "GLOBAL",
        "BROKER",
        "DEPLOYMENT",
    }


@pytest.mark.django_db(transaction=True)
def test_no_order_begins_to_leave_after_a_kill_switch_commits():
    set_up()
    races = [kite_kills.race(SEED, number, orders=40, kill_within=20) for number in range(4)]
    assert [race.late for race in races] == [0, 0, 0, 0]
    assert all(race.sent for race in races)


@pytest.mark.django_db(transaction=True)
def test_a_kill_switch_cancels_what_rests_as_fast_as_our_rate_lets_it():
    set_up()
    swept = kite_kills.cancelled(
        SEED, orders=100
    )  # so many that a pause of a second, after reads, is within a tenth
    assert swept.is_good, swept


@pytest.mark.django_db
def test_the_books_are_right_soon_after_updates_come_back():
    set_up()
    outage = kite_outage.run(SEED, fills=60, cut_ms=15_000)
    assert outage.is_good, outage
