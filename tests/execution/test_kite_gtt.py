"""Triggers at Kite: what one of ours may be, its words, and Kite's rows."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import Side
from execution.domain.kite import gtt
from execution.domain.kite.gtt import Fired, GttKind, GttStatus, GttTerms, Leg, Price
from execution.domain.kite.lookup import Finding
from execution.domain.kite.rows import NotKites
from execution.domain.kite.wire import CannotBeSaid
from tests.builders import an_instrument, at, e4
from tests.kite_builders import body, kite_time
from tests.shared_data import SHARED, needs_shared_data

SPEC = an_instrument()


def terms(held: int = 10, quantity: int = 10, **prices: Any) -> GttTerms:
    found = {
        name: Price(e4(price)) if not isinstance(price, Price) else price for name, price in prices.items()
    }
    return gtt.protecting(SPEC, held, quantity, stop=found.get("stop"), target=found.get("target"))


def row(**more: Any) -> dict[str, Any]:
    """A trigger as Kite writes it, that of `terms(stop=1400, target=1600)`."""
    name = {"exchange": "NSE", "tradingsymbol": "STOCK7"}
    leg = name | {"product": "CNC", "order_type": "LIMIT", "transaction_type": "SELL", "quantity": 10}
    return {
        "id": 7,
        "type": "two-leg",
        "created_at": kite_time(at()),
        "expires_at": kite_time(at()),
        "status": "active",
        "condition": name | {"trigger_values": [1400, 1600.0], "last_price": 1500},
        "orders": [leg | {"price": 1386.0, "result": None}, leg | {"price": 1600, "result": None}],
    } | more


def shown(**more: Any) -> gtt.TriggerRow:
    (found,) = gtt.triggers_of(body([row(**more)]), {}).rows
    return found


def test_a_stop_and_a_target_are_two_legs_the_lower_one_first():
    found = terms(target=1600, stop=1400)

    assert (found.kind, found.side, found.product) == (GttKind.TWO_LEG, Side.SELL, "CNC")
    assert found.legs == (Leg(e4(1400), e4(1386), 10), Leg(e4(1600), e4(1600), 10))
    assert found.quantity == 10


def test_what_is_short_is_bought_back_with_the_stop_above():
    found = terms(held=-10, stop=1600, target=1400)

    assert (found.side, [leg.limit_e4 for leg in found.legs]) == (Side.BUY, [e4(1400), e4(1616)])
    assert gtt.objection(found, SPEC, stop_e4=e4(1600), target_e4=e4(1400), last_e4=e4(1500)) == ""


@pytest.mark.parametrize(
    ("changes", "word"), [({"held": 0, "stop": 1400}, "holds nothing"), ({}, "a stop, a target, or both")]
)
def test_without_something_to_close_or_a_price_there_is_none(changes, word):
    with pytest.raises(CannotBeSaid, match=word):
        terms(**changes)


@pytest.mark.parametrize(
    ("quantity", "stop", "target", "word"),
    [
        (10, 1500, None, "the stop 1500.00 is not below the price now"),
        (10, None, 1500, "the target 1500.00 is not above the price now"),
        (10, 1400.01, None, "is no price of NSE:STOCK7, whose tick is 0.05"),
        (10, Price(e4(1400), e4(1401)), None, "the limit 1401.00 lies above its trigger"),
        (0, 1400, None, "no whole number of lots"),
        (500_001, 1400, None, "place several"),
    ],
)
def test_what_speaks_against_one_is_named(quantity, stop, target, word):
    said = {"stop": stop, "target": target}
    found = terms(quantity=quantity, **{name: price for name, price in said.items() if price})
    edges = {f"{name}_e4": found.legs[0].trigger_e4 if price else None for name, price in said.items()}

    assert word in gtt.objection(found, SPEC, **edges, last_e4=e4(1500))


def test_no_more_is_closed_than_is_held_and_not_covered():
    selling = terms(stop=1400)

    assert gtt.excess(selling, 10, 0, 0) == ""
    assert "5 of them covered" in gtt.excess(selling, 14, 5, 0)
    assert gtt.excess(selling, 15, 5, 0) == ""
    assert "1 by orders at work" in gtt.excess(selling, 15, 5, 1)
    assert gtt.excess(selling, 16, 5, 1) == ""
    assert "0 units are held" in gtt.excess(selling, -10, 0, 0)


def test_its_form_is_what_the_official_client_sends():
    said = gtt.form(terms(stop=1400, target=1600), SPEC, e4(1500.5))

    assert said["type"] == "two-leg"
    assert json.loads(said["condition"]) == {
        "exchange": "NSE",
        "tradingsymbol": "STOCK7",
        "trigger_values": [1400, 1600],
        "last_price": 1500.5,
    }
    assert json.loads(said["orders"])[0] == {
        "exchange": "NSE",
        "tradingsymbol": "STOCK7",
        "transaction_type": "SELL",
        "quantity": 10,
        "order_type": "LIMIT",
        "product": "CNC",
        "price": 1386,
    }


def test_kites_rows_say_terms_and_what_came_of_a_leg():
    assert shown().terms == terms(stop=1400, target=1600)
    assert (shown().status, shown(status="something new").status) == (GttStatus.ACTIVE, GttStatus.ACTIVE)
    assert shown(status="triggered").status is GttStatus.TRIGGERED


@needs_shared_data
def test_a_trigger_that_fired_without_an_order_says_why():
    """Kite's own sample: the price was outside of the day's range."""
    sample = json.loads((SHARED / "kite" / "rest" / "gtt_get_order.json").read_text())["data"]

    found = gtt.trigger_of(json.dumps(sample).encode(), {})

    assert (found.status, found.terms.side, len(found.fired)) == (GttStatus.TRIGGERED, Side.SELL, 1)
    assert (found.fired[0].leg, found.fired[0].order_id) == (1, "")
    assert "lower circuit limit" in found.fired[0].reason


def test_the_order_of_a_leg_that_fired_is_named():
    fired = row()["orders"]
    fired[0]["result"] = {"order_result": {"status": "success", "order_id": "42", "rejection_reason": ""}}

    assert shown(status="triggered", orders=fired).fired == (Fired(0, "42"),)


@pytest.mark.parametrize(
    "change", [{"orders": []}, {"id": "x"}, {"id": -1}, {"condition": None}, {"type": "three-leg"}]
)
def test_a_row_of_another_shape_is_a_fault_and_no_row(change):
    found = gtt.triggers_of(body([row(), row(**change)]), {})

    assert (len(found.rows), len(found.faults)) == (1, 1)


def test_words_that_no_column_holds_are_cut():
    fired = row()["orders"]
    fired[0]["result"] = {"order_result": {"status": "failed", "rejection_reason": "no\0" + "x" * 500}}
    (told,) = shown(status="triggered", orders=fired).fired

    assert (told.reason[:3], len(told.reason)) == ("nox", 200)


def test_an_answer_that_is_no_list_is_no_information():
    with pytest.raises(NotKites):
        gtt.triggers_of(b"<html>", {})


def test_what_may_have_been_placed_is_found_by_what_it_says():
    wanted, sent_ms = terms(stop=1400, target=1600), at()

    assert gtt.of_placing(wanted, sent_ms, [shown(id=9), shown(id=8)]).trigger_id == 8
    assert gtt.of_placing(wanted, sent_ms + gtt.SLACK_MS + 1_000, [shown()]) is None, "made long before"
    assert gtt.of_placing(terms(stop=1400), sent_ms, [shown()]) is None


def test_a_change_is_done_only_where_its_terms_are_shown():
    wanted = msgspec.structs.replace(shown().terms, legs=(Leg(1, 1, 1), Leg(2, 2, 1)))

    assert gtt.of_modifying(shown(), shown().terms) is Finding.DONE
    assert gtt.of_modifying(shown(), wanted) is Finding.ABSENT
    assert gtt.of_modifying(shown(status="triggered"), wanted) is Finding.TOO_LATE


def test_what_is_not_listed_any_more_is_deleted():
    assert gtt.of_deleting(None) is Finding.DONE
    assert gtt.of_deleting(shown(status="deleted")) is Finding.DONE
    assert gtt.of_deleting(shown()) is Finding.ABSENT
    assert gtt.of_deleting(shown(status="triggered")) is Finding.TOO_LATE
