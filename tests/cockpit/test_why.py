"""From a fill back to the bytes of its tick: what the page tells against rows, log and rules of a real chain."""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from django.utils.html import strip_tags

from alphapanda.core.clock import to_ms
from alphapanda.dashboard import tracing, verdicts
from alphapanda.dashboard.why import REDACTED, redacted
from alphapanda.eventlog import incarnation
from alphapanda.eventlog.records import LogUnavailable
from alphapanda.version import build
from alphapanda.web import formats
from execution.models import BrokerCall, BrokerOrder, Fill, Order
from marketdata.domain.ticks import unpack
from portfolio.models import LedgerEntry, Posting
from risk.domain.review import ASKED
from risk.domain.wording import named, unit_of
from risk.models import Decision
from strategies.domain.basis import Basis, Place
from strategies.loading import signal_row
from strategies.models import Due, Signal
from tests.cockpit.test_pages import ROWS, browser
from tests.pipeline.hand import INCARNATION, Hand, MemoryReader, packed
from tests.strategies.test_shard import hand_over, items  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db(transaction=True)


class Reader(MemoryReader):
    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_error: object) -> None: ...


@pytest.fixture
def messages(items: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[bytes]:  # noqa: F811
    """The log of a morning on which deployments have traded, as the page reads it."""
    values = packed(items[:160], source=8, batch=50)
    hand: Hand = hand_over(monkeypatch, values)
    hand.run()
    monkeypatch.setattr(tracing, "LogReader", lambda _service: Reader(values))
    monkeypatch.setattr(incarnation, "current", lambda **_refresh: INCARNATION)
    tracing._kept.clear()
    return values


def words(html: str) -> str:
    """The text of a page with single spaces."""
    text = " ".join(unescape(strip_tags(html.replace("<", " <"))).split())
    return text.replace(" :", ":").replace(" ,", ",")


def a_fill() -> Fill:
    """One of an order that a strategy wished for."""
    return Fill.objects.filter(order__decision__signal__origin="STRATEGY").order_by("step", "number").first()


def test_a_fill_is_explained_from_the_bytes_of_its_ticks_to_the_ledger(messages: list[bytes]) -> None:
    fill = a_fill()
    page = browser("viewer").get(f"/fills/{fill.id}/").content.decode()
    told = words(page)
    signal, decision = fill.order.decision.signal, fill.order.decision

    due = Due.objects.get(deployment=fill.deployment, step=fill.step)
    basis = msgspec.convert(signal.basis, Basis)
    for place in (basis.place, msgspec.convert(due.place, Place)):
        raw = unpack(messages[place.offset]).raw(place.index)
        assert raw in messages[place.offset]
        token, at_ms = struct.unpack_from("<Iq", raw)
        assert (token, at_ms) in [
            (0, signal.at_ms),
            *((fill.instrument.instrument_token, at) for at in (signal.at_ms, fill.at_ms)),
        ]
        assert raw.hex(" ")[:47] in told
        assert f"message {formats.number(place.offset)}, item {place.index}; number" in told

    for name, one in basis.indicators.items():
        assert (
            f"{name} {'over prices' if one.pane == 'price' else 'apart'} {formats.reading(one.value)}" in told
        )
        assert f'title="{formats.exact(one.value)}"' in page
    assert signal.reason in told
    assert f"approved by {named(decision.rule)}: {decision.reason}" in told
    assert f"Fill {fill.number} this one: {fill.quantity} at {formats.price(fill.price_e4)}" in told
    for line, amount in fill.charges.items():
        assert f"{line} {formats.rupees_exact(amount)}" in told
    assert f"All charges {formats.rupees_exact(sum(map(Decimal, fill.charges.values())))}" in told
    entries = LedgerEntry.objects.filter(fill_id=fill.id)
    assert entries
    for entry in entries:
        assert f"{entry.account} {formats.rupees_exact(entry.amount)}" in told
    assert "Sum ₹0.00" in told
    assert "is not nought" not in told
    assert str(fill.deployment.strategy_version) in told
    assert f"Build {build()}" in told
    assert decision.numbers["version"] in told
    assert decision.numbers["config"] in told
    assert "not noted with the signal" not in told
    assert 'aria-current="true"' in page.partition(f'id="fill-{fill.number}"')[2][:40]


def test_every_rule_stands_there_with_what_it_saw(messages: list[bytes]) -> None:
    fill = a_fill()
    page = browser("viewer").get(f"/orders/{fill.order_id}/").content.decode()
    table = page.partition('<table class="rules">')[2].partition("</table>")[0]
    named_in_titles = re.findall(r'title="(\w+): ', table)
    assert list(dict.fromkeys(named_in_titles)) == [rule.__name__ for rule, _ in ASKED]
    numbers = fill.order.decision.numbers
    told = words(table)
    for name, limit in (("order_value", "order_value"), ("position_limit", "position_quantity")):
        if limit in numbers["limits"]:
            seen = numbers[verdicts.FIGURES[limit]]
            bound, figure = (formats.bounded(one, unit_of(limit)) for one in (numbers["limits"][limit], seen))
            assert f"{named(name)} passed {named(limit)} {bound} {figure}" in told
    assert f"session phase passed phase {numbers['phase']}" in told
    assert not re.findall(r"[a-z]+_[a-z]+", told)
    assert "objected" not in table


def test_guards_say_what_they_saw(messages: list[bytes]) -> None:
    decision = a_fill().order.decision
    page = browser("viewer").get(f"/signals/{decision.signal_id}/").content.decode()
    assert "its figures are not kept" not in page
    told = words(page)
    entries = decision.guards["repeated_entries"]["entries"]
    for line in (
        "start of day passed checks of the day not asked for by the settings",
        "unacknowledged alert passed oldest critical alert none waits, 15 min at most",
        f"repeated entries passed entries in the window {entries}",
        "approval passed asks a person no",
    ):
        assert line in told
    decision.guards |= {
        "start_of_day": {"is_required": True, "is_passed": True},
        "unacknowledged_alert": {"minutes": 15, "alert": 3, "waited_s": 720},
        "approval": {"wait_s": 120},
    }
    assert seen_by(decision) == {
        "start_of_day": "passed",
        "unacknowledged_alert": "waits for 12 min, 15 min at most",
        "repeated_entries": entries,
        "approval": "for 2 min",
    }
    decision.guards = {}  # of before they were kept
    assert set(seen_by(decision).values()) == {None}


def seen_by(decision: Decision) -> dict[str, Any]:
    row = signal_row(Signal.objects.select_related("instrument").get(id=decision.signal_id))
    guards = ("start_of_day", "unacknowledged_alert", "repeated_entries", "approval")
    return {one.rule: one.seen[0].figure for one in verdicts.rules_of(decision, row) if one.rule in guards}


def outcomes(decision: Decision) -> dict[str, str]:
    row = signal_row(Signal.objects.select_related("instrument").get(id=decision.signal_id))
    return {one.rule: one.outcome for one in verdicts.rules_of(decision, row)}


def test_who_objected_was_asked_last_and_an_exit_is_asked_nothing(messages: list[bytes]) -> None:
    decision = a_fill().order.decision
    decision.numbers = decision.numbers | {"limits": {"order_value": "10", "daily_orders": 4}}
    decision.rule, decision.is_approved = "order_value", False
    found = outcomes(decision)
    assert found["order_value"] == "objected"
    assert (found["kill_switch"], found["tradable"]) == ("passed", "passed")
    assert (found["daily_orders"], found["approval"]) == ("not asked", "not asked")
    assert (found["position_limit"], found["margin"]) == ("no limit", "no limit")
    decision.rule = "exit"
    assert set(outcomes(decision).values()) == {"not asked"}
    decision.rule = "a_rule_of_old"
    assert set(outcomes(decision).values()) == {"unknown", "no limit"}


def test_figures_of_shared_levels_are_beside_their_limits(messages: list[bytes]) -> None:
    decision = a_fill().order.decision
    decision.numbers = decision.numbers | {
        "sums": {"BROKER paper": {"limits": {"daily_orders": 9}, "orders_today": 3}}
    }
    row = signal_row(Signal.objects.select_related("instrument").get(id=decision.signal_id))
    [rule] = [one for one in verdicts.rules_of(decision, row) if one.rule == "daily_orders"]
    assert verdicts.Seen("BROKER paper", "daily_orders", 9, 3) in rule.seen


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("dropped", "The log no longer holds it: it begins at message 900"),
        ("other", "is gone; this is another"),
        ("away", "The log cannot be read now: no broker"),
        ("anew", "What stands there now is another item"),
    ],
)
def test_bytes_that_are_gone_are_said_to_be(
    messages: list[bytes], monkeypatch: pytest.MonkeyPatch, broken: Any, told: str
) -> None:
    def away(**_refresh: Any) -> UUID:
        raise LogUnavailable("no broker")

    match broken:
        case "other":
            monkeypatch.setattr(incarnation, "current", lambda **_refresh: uuid4())
        case "away":
            monkeypatch.setattr(incarnation, "current", away)
        case "anew":
            monkeypatch.setattr(tracing, "LogReader", lambda _service: Reader(messages[::-1]))
        case _:
            reader = Reader(messages)
            reader.low = 900
            monkeypatch.setattr(tracing, "LogReader", lambda _service: reader)
    page = browser("viewer").get(f"/fills/{a_fill().id}/").content.decode()
    assert told in unescape(page)
    assert "Its bytes are not there" in page
    assert formats.price(a_fill().price_e4) in page  # what is stored stands there all the same


def test_the_waterfall_goes_from_tick_to_books_in_order(messages: list[bytes]) -> None:
    fill = a_fill()
    page = browser("viewer").get(f"/orders/{fill.order_id}/?view=timeline").content.decode()
    posting = Posting.objects.get(fill_id=fill.id)
    for moment in (fill.created_at, fill.order.created_at, posting.booked_at):
        assert formats.ist_exact(to_ms(moment)) in page
    hops = re.findall(r"<td><b>(\w+)</b></td>", page)
    assert [hop for hop in hops if hop != "tick"] == ["signal", "risk", "intent", "fill", "books"]
    signal = fill.order.decision.signal
    whole = to_ms(posting.booked_at) - (signal.received_at_ms or to_ms(signal.created_at))
    assert f"{formats.number(whole)} ms in all" in page


def test_how_often_an_order_was_changed_is_shown_beside_how_often_it_may_be(messages: list[bytes]) -> None:
    order = Order.objects.first()
    assert order is not None
    client, address = browser("viewer"), f"/orders/{order.pk}/"
    assert "Changed" not in words(client.get(address).content.decode())
    Order.objects.filter(pk=order.pk).update(modifications=3)
    assert "Changed 3 of 25 times" in words(client.get(address).content.decode())


def test_a_call_to_the_broker_is_shown_without_secrets(messages: list[bytes]) -> None:
    order = Order.objects.get(id=a_fill().order_id)
    at_broker = BrokerOrder.objects.create(order=order, state={"filled": 10, "checksum": "c0ffee"})
    BrokerCall.objects.create(
        id=uuid4(), order=at_broker, kind="ORDER", lane="ENTRY", attempt=1, tag="AP17", state="DONE",
        queued_at_ms=1_562_644_200_001, sent_at_ms=1_562_644_200_007, answered_at_ms=1_562_644_200_042,
        http_status=200, form={"tradingsymbol": "YESBANK", "api_key": "k3y", "legs": [{"access_token": "t0k"}]},
    )  # fmt: skip
    viewer = browser("viewer")
    for view in ("compact", "raw"):
        page = unescape(viewer.get(f"/orders/{order.id}/?view={view}").content.decode())
        assert '"tradingsymbol": "YESBANK"' in page
        assert REDACTED in page
        assert not [secret for secret in ("k3y", "t0k", "c0ffee") if secret in page]
    assert "HTTP 200, tag AP17" in words(viewer.get(f"/orders/{order.id}/").content.decode())
    assert redacted({"Authorization": "token a:b", "price": 1}) == {"Authorization": REDACTED, "price": 1}


def test_a_link_to_a_fill_is_in_the_list_and_can_be_sent(messages: list[bytes]) -> None:
    viewer, fill = browser("viewer"), a_fill()
    assert f'href="/fills/{fill.id}/"' in viewer.get("/fills/").content.decode()
    assert 'id="copy-link"' in viewer.get(f"/fills/{fill.id}/").content.decode()
    assert viewer.get(f"/fills/{uuid4()}/").status_code == 404
    assert viewer.get(f"/fills/{fill.id}/", headers=ROWS).json()["type"] == "snapshot"
    assert "items of the log" in viewer.get(f"/fills/{fill.id}/?view=raw").content.decode()
