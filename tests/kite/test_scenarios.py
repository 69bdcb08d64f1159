"""Orders at a broker that goes wrong, by processes that die: what `manage.py kite_faults` proves, in short."""

from __future__ import annotations

import pytest

from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.parsing import Changed
from alphapanda.proof import kite_faults, kite_kills, kite_outage
from alphapanda.proof.kite_parts import PRICE_E4
from alphapanda.proof.kite_world import set_up
from execution.domain.kite.orders import LiveOrder
from execution.services.live import killing, ways_out
from risk.models import KillSwitch
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

    wrong = [told for told in kite_faults.Comparison(world).wrong() if "kill switch" in told]

    assert len(wrong) == 1


def test_an_order_that_works_on_after_its_deployment_heard_of_its_end_is_found(world, monkeypatch):
    monkeypatch.setattr(LiveOrder, "_has_legs_to_come", False)  # an iceberg that ends with each leg
    near = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 + 10_000}
    at_work(world, **near, quantity=800, variety="iceberg", iceberg_legs=2)
    world.broker.book.habits = Habits(ladder_ms=8_000)  # between two legs it is looked at
    pass_ms(world, 100_000)

    wrong = [told for told in kite_faults.Comparison(world).wrong() if "after it was" in told]

    assert [told.split(": ")[1] for told in wrong] == ["OPEN PENDING after it was COMPLETE"]


def test_an_order_that_was_made_larger_than_anybody_asked_is_found(world):
    order = world.want(quantity=10, order_type="LIMIT", limit_price_e4=PRICE_E4 + 10_000)
    world.desk.round()
    (broker_id,) = world.broker.book.orders
    world.broker.book.modification(broker_id, Changed(quantity=20), at_ms=world.broker.clock.now_ms())()
    pass_ms(world, 20_000)

    wrong = [told for told in kite_faults.Comparison(world).wrong() if "have traded" in told]

    assert wrong == [f"{order.id}: 20 units of 10 have traded"]


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
