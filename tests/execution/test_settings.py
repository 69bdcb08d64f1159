"""What the column `execution` of a deployment may say, by broker."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker
from execution.domain.settings import LiveSettings, as_paper, settings_of


def test_what_goes_along_with_live_orders_is_kept() -> None:
    given = {"algo_id": "ALGO-7", "market_protection": 2.5, "square_off": False}

    assert settings_of(given, Broker.ZERODHA) == LiveSettings(False, Decimal("2.5"), "ALGO-7")
    assert settings_of({}, Broker.ZERODHA) == LiveSettings(True, Decimal(-1), "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"latency_ms": 5},
            "'latency_ms' is an unknown field at zerodha; accepted: square_off, market_protection, algo_id",
        ),
        ({"product": "CNC"}, "`product` stands beside `execution`, not in it"),
        ({"market_protection": 0}, "-1 or percent above 0"),
        ({"market_protection": "NaN"}, "-1 or percent above 0"),
        ({"market_protection": None}, "market_protection"),
        ({"algo_id": "x" * 41}, "at most 40"),
        ({"algo_id": "a\nb"}, "printable"),
    ],
)
def test_other_things_are_refused_of_live_orders(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings_of(given, Broker.ZERODHA)


def test_a_definition_is_held_against_the_settings_of_its_broker() -> None:
    named = {"name": "x", "strategy": "ema_cross", "instruments": ("NSE:INFY",)}
    paper = deploying.Definition(**named, execution={"algo_id": "A"})
    live = deploying.Definition(**named, broker=Broker.ZERODHA, execution={"algo_id": "A"})

    deploying.check(live)
    with pytest.raises(deploying.BadDefinition, match="'algo_id' is an unknown field at paper"):
        deploying.check(paper)


def test_a_shadow_takes_over_what_paper_knows() -> None:
    column = {
        "product": "MIS",
        "algo_id": "A",
        "square_off": False,
        "market_protection": "3",
        "approval_s": 9,
    }

    assert as_paper(column) == {"product": "MIS", "square_off": False, "market_protection": "3"}


@pytest.mark.parametrize("broker", [Broker.PAPER, Broker.ZERODHA])
def test_entries_wait_up_to_six_hours(broker: Broker) -> None:
    assert settings_of({"approval_s": 21_600}, broker).approval_s == 21_600
    for wrong in (-1, 21_601):
        with pytest.raises(ValueError, match="`approval_s` is from 0 to 21600"):
            settings_of({"approval_s": wrong}, broker)
    with pytest.raises(ValueError, match="int"):
        settings_of({"approval_s": "60"}, broker)
