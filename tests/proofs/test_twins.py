"""Side by side: only what the recording bears out is explained. And secrets are found wherever they are."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from alphapanda.core.vocabulary import Side
from alphapanda.proof import canary
from alphapanda.proof.twins import LATENCY, PERSON, UNEXPLAINED, Act, Known, Offers, Trade, Twin, compare
from tests.builders import a_tick, at

WANTED = {"side": "BUY", "quantity": 10, "at_ms": at(), "origin": "STRATEGY"}
ORDER = {"status": "COMPLETE", "quantity": 10, "filled": 10}


def offers() -> Offers:
    """100 rupees for the first second, 101 from the second on."""
    asks = {0: ((1_000_000, 50, 1),), 2_000: ((1_010_000, 50, 1),)}
    return Offers((at() + ms, a_tick()._replace(at_ms=at() + ms, asks=levels)) for ms, levels in asks.items())


def a_twin(price_e4: int, *, ms: int = 0, quantity: int = 10, cash: str = "-1001", **order: object) -> Twin:
    trades = (Trade(Side.BUY, quantity, price_e4, at() + ms),)
    act = Act(WANTED, {"approved": True, "rule": "limits"}, ORDER | order, trades)
    return Twin("a twin", (act,), {"NSE:INFY": 10}, Decimal(cash), Decimal(1), tables=Decimal(1))


PAPER = a_twin(1_000_000)


def test_twins_that_did_the_same_do_not_differ() -> None:
    assert compare(PAPER, a_twin(1_000_000), offers()) == []


def test_another_price_at_another_time_is_the_way_of_the_order_where_it_was_on_offer_then() -> None:
    found = compare(PAPER, a_twin(1_010_000, ms=2_000, cash="-1011"), offers())
    assert [(one.what, one.why) for one in found] == [("signal 1: trades", LATENCY), ("cash", "trades")]


def test_a_trade_before_its_signal_is_unexplained() -> None:
    later = WANTED | {"at_ms": at() + 5_000}
    found = {}
    for ms in (6_000, 2_000):
        one, other = (
            replace(twin, acts=(replace(twin.acts[0], wanted=later),))
            for twin in (a_twin(1_010_000, ms=5_000), a_twin(1_010_000, ms=ms))
        )
        found[ms] = [difference.why for difference in compare(one, other, offers())]
    assert found == {6_000: [LATENCY], 2_000: [UNEXPLAINED]}


def standing(heard: Known, rule: str, *, stood: Known | None = None) -> Twin:
    """The twin whose decision says `rule` and stands on what it had heard, or on something else."""
    act = replace(PAPER.acts[0], decision={"approved": True, "rule": rule}, heard=heard, stood=stood or heard)
    return replace(PAPER, acts=(act,))


SHORT = Known(held=-10, worst=0)
FLIPPING = Known(held=-10, worst=10)  # an order of its side that has traded, of which nobody told it yet


def test_what_an_approved_signal_is_depends_on_what_has_traded() -> None:
    found = compare(standing(SHORT, "exit"), standing(FLIPPING, "within_limits"), offers())
    assert [(one.what, one.why) for one in found] == [("signal 1: decision rule", LATENCY)]


@pytest.mark.parametrize(
    "live",
    [
        standing(SHORT, "within_limits"),  # both had heard the same
        standing(FLIPPING, "within_limits", stood=SHORT),  # risk looked at something else
        standing(Known(held=0, worst=10), "daily_orders"),
        standing(Known(held=-20, worst=-10), "within_limits"),  # it was an exit
    ],
)
def test_an_approval_that_does_not_follow_from_what_was_heard_is_unexplained(live: Twin) -> None:
    found = compare(standing(SHORT, "exit"), live, offers())
    assert [one.why for one in found] == [UNEXPLAINED]


@pytest.mark.parametrize(
    ("origin", "late_ms", "why"),
    [("OPERATOR", 500, PERSON), ("OPERATOR", 11_000, UNEXPLAINED), ("STRATEGY", 500, UNEXPLAINED)],
)
def test_a_person_reaches_each_at_a_time_of_its_own(origin: str, late_ms: int, why: str) -> None:
    one, other = (
        replace(PAPER, acts=(replace(PAPER.acts[0], wanted=WANTED | {"origin": origin, "at_ms": at() + ms}),))
        for ms in (0, late_ms)
    )
    assert [(found.what, found.why) for found in compare(one, other, offers())] == [
        ("signal 1: wanted at_ms", why)
    ]


@pytest.mark.parametrize(
    "live",
    [
        a_twin(1_010_000, ms=1_000),  # not on offer at that time
        a_twin(1_000_000, ms=500, quantity=9),
        a_twin(1_000_000, status="REJECTED"),
        a_twin(1_000_000, cash="-1001.01"),  # money that no trade explains
        a_twin(1_010_000, ms=2_000, cash="-1011.01"),  # nor all of it the other price
        replace(a_twin(1_010_000, ms=2_000, cash="-1012"), charges=Decimal(2)),  # charges that no table has
        Twin("a twin", (), {"NSE:INFY": 10}, Decimal(-1001), Decimal(1)),
    ],
)
def test_all_else_is_unexplained(live: Twin) -> None:
    assert UNEXPLAINED in {one.why for one in compare(PAPER, live, offers())}


def test_a_secret_is_found_in_whatever_place_and_not_told(tmp_path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("token=hush-hush-1 ...")
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "1").write_text("hush-hush-1")
    places = [*canary.files(tmp_path, but=["postgres"]), ("page /", b"<p>hush-hush-2</p>"), ("page /b", b"")]
    assert canary.hits({"token": "hush-hush-1", "password": "hush-hush-2"}, places) == [
        "token in file logs/web.log",
        "password in page /",
    ]
