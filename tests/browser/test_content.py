"""What stands on a page is what stands in the database."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db.models import Sum

from alphapanda import projections
from alphapanda.core.clock import to_ms
from alphapanda.proof.browser import Person
from alphapanda.web import formats
from execution.models import Fill, Order
from portfolio.models import Book, Position
from risk.models import KillSwitch
from strategies.models import BacktestRun, Deployment, Signal
from tests.cockpit import world

pytestmark = pytest.mark.django_db(transaction=True)


def texts(person: Person, kind: str) -> dict[str, list[str]]:
    """The cells of each row by its id."""
    found: dict[str, list[str]] = person.page.evaluate(
        """kind => Object.fromEntries([...document.querySelectorAll(`tbody[data-kind="${kind}"] tr`)].map(
            (row) => [row.id.slice(kind.length + 1), [...row.cells].map((cell) => cell.innerText.trim())]))""",
        kind,
    )
    return found


def test_orders(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/orders/")
    shown = texts(operator, "orders")

    assert set(shown) == {str(pk) for pk in Order.objects.values_list("pk", flat=True)}
    for order in Order.objects.all():
        cells = shown[str(order.pk)]
        assert cells[2] == f"{order.side} {order.quantity}"
        assert cells[5] == formats.average(order.turnover / order.filled_quantity)
        assert cells[6] == order.status.lower()
        assert cells[8] == order.deployment.name
        filled = order.fills.earliest("number").created_at
        assert cells[9] == formats.number(to_ms(filled) - to_ms(order.decision.created_at))


def test_a_brokers_id_and_its_reason_in_full_need_no_sideways_scroll(
    operator: Person, desk: SimpleNamespace
) -> None:
    operator.open("/orders/?symbol=ICICIBANK")  # the longest name of a deployment
    why = "Insufficient funds. Required margin is 1,23,456.75 but available margin is 98,765.40. Check the order book."
    operator.page.evaluate(
        """([why, id]) => { const { cells } = document.querySelector("tr[id^=orders-]");
            [cells[3].innerText, cells[7].innerText, cells[10].innerText] = ["limit 1,18,895.00 NRML", why, id]; }""",
        [why, "261129000123456"],
    )

    assert not operator.is_wider_than_the_window()
    why_cell = operator.page.locator("tr[id^=orders-] td.reason").first
    assert why_cell.inner_text() == why
    assert why_cell.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_fills(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/fills/")
    shown = texts(operator, "fills")

    assert set(shown) == {str(pk) for pk in Fill.objects.values_list("pk", flat=True)}
    for fill in Fill.objects.all():
        charged = sum(map(Decimal, fill.charges.values()))
        assert shown[str(fill.pk)][2:6] == [
            f"{fill.side} {fill.quantity}",
            formats.price(fill.price_e4),
            formats.rupees(Decimal(fill.price_e4) * fill.quantity / 10_000),
            formats.rupees(charged),
        ]


def test_signals_with_their_verdicts(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/signals/")
    shown = texts(operator, "signals")

    assert set(shown) == {str(pk) for pk in Signal.objects.values_list("pk", flat=True)}
    denied = [cells for cells in shown.values() if cells[3] == "denied"]
    assert len(denied) == Signal.objects.filter(decision__is_approved=False).count() > 0
    assert all("position would hold 400, limit is 300" in cells[4] for cells in denied)


def test_positions_and_their_sums(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/positions/")
    shown = texts(operator, "positions")
    held = Position.objects.exclude(quantity=0)

    gained = {
        one.pk: Decimal(world.NAMES[one.instrument.tradingsymbol][1]) * one.quantity / 10_000 - one.cost
        for one in held
    }
    assert {key: (cells[2], cells[7]) for key, cells in shown.items()} == {
        f"{one.book_id}:{one.instrument_id}": (f"{one.quantity:,}", formats.rupees_signed(gained[one.pk]))
        for one in held
    }
    sums = operator.page.locator("tr.sums").locator("th, td").all_inner_texts()
    assert (sums[0], sums[7]) == (f"{len(held)} open", formats.rupees_signed(sum(gained.values())))


CROWDED = """() => {
  const body = document.querySelector('tbody[data-kind="marks"]');
  const first = body.rows[0];
  body.replaceChildren(...Array.from({ length: 200 }, () => first.cloneNode(true)));
  for (const { cells } of body.rows) {
    [cells[0].innerHTML, cells[1].innerText] = ["<b>BANKNIFTY26NOV52000CE</b> <small>NFO</small>", "1,18,895.00"];
    cells[3].replaceWith(Object.assign(document.createElement("td"), { className: "n", innerText: "no tick yet" }));
  }
}"""
DRAWN = """() => [...document.querySelectorAll('tbody[data-kind="marks"] tr')].map(
  ({ cells }) => cells[0].checkVisibility({ contentVisibilityAuto: true }))"""
EDGES_AND_CUT = """(box) => {
  const rows = [...box.querySelectorAll("tr")].slice(0, 8).map(({ cells }) => [...cells]);
  const cut = rows.flatMap(([, ...others]) => others).filter((cell) => cell.scrollWidth > cell.clientWidth);
  const ends = (one) => one.getBoundingClientRect().right;
  cut.push(...rows.slice(1).map(([name]) => name).filter((name) => ends(name.firstElementChild) > ends(name)));
  return [rows.map((row) => row.map(ends)),
          cut.map((cell) => `${cell.innerText} ${cell.scrollWidth} > ${cell.clientWidth}`)];
}"""


@pytest.mark.parametrize("width", [1366, 390])
def test_two_hundred_prices_stand_under_their_heads_and_only_those_in_sight_are_laid_out(
    width: int, operator: Person, desk: SimpleNamespace
) -> None:
    operator.page.set_viewport_size({"width": width, "height": 768})
    operator.open("/")
    operator.page.evaluate(CROWDED)
    box = operator.page.locator(".scroll:has(> .marks)")
    box.scroll_into_view_if_needed()
    operator.page.wait_for_function(f"() => {{ const all = ({DRAWN})(); return all[0] && !all.at(-1); }}")
    edges, cut = box.evaluate(EDGES_AND_CUT)
    assert all(row == edges[0] for row in edges)
    assert cut == []
    box.evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
    operator.page.wait_for_function(f"() => {{ const all = ({DRAWN})(); return !all[0] && all.at(-1); }}")


def test_the_line_of_the_overview_is_whole(operator: Person, desk: SimpleNamespace) -> None:
    operator.page.set_viewport_size({"width": 1366, "height": 768})
    operator.open("/")
    line = operator.page.locator(".glance dd")
    assert "ema_cross-infy-paper" in line.nth(2).inner_text()
    assert line.evaluate_all("all => all.filter((one) => one.scrollWidth > one.clientWidth).length") == 0


@pytest.mark.parametrize("states", [("QUARANTINED", "PAUSED", "STOPPED"), ("QUARANTINED",)])
def test_the_line_of_the_overview_breaks_no_word(
    states: tuple[str, ...], operator: Person, desk: SimpleNamespace
) -> None:
    pks = [one.pk for one in desk.deployments]
    for pk, state in zip(pks, states, strict=False):
        Deployment.objects.filter(pk=pk).update(status=state)
    projections.rebuild()
    operator.open("/")
    tall = operator.page.locator(".glance .pill").evaluate_all("all => all.map((one) => one.offsetHeight)")
    cut = operator.page.locator("tbody[data-kind=deployments] td:last-child").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText)"
    )
    Deployment.objects.filter(pk__in=pks).update(status="RUNNING")
    projections.rebuild()

    assert max(tall) <= 20
    assert cut == []


def test_the_money_of_the_overview(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/")
    facts = operator.page.locator(".tile")
    shown = dict(
        zip(facts.locator("dt").all_inner_texts(), facts.locator("dd").all_inner_texts(), strict=True)
    )
    own = Position.objects.filter(book__broker="paper")
    totals = own.aggregate(Sum("realised"), Sum("charges"))

    assert formats.rupees_signed(totals["realised__sum"]) in shown.values()
    assert shown["Charges since start"] == formats.rupees(totals["charges__sum"])
    worth = sum(Decimal(world.NAMES[one.instrument.tradingsymbol][1]) * one.quantity / 10_000 for one in own)
    cash = desk.portfolio.starting_cash + Book.objects.aggregate(Sum("cash"))["cash__sum"]
    assert shown["Equity"] == formats.rupees_compact(cash + worth)
    assert operator.page.locator(".badge").inner_text() == "PAPER"


def test_deployments_and_halts_and_backtests(operator: Person, desk: SimpleNamespace) -> None:
    operator.open("/strategies/")
    shown = texts(operator, "traders")
    assert {key: cells[0] for key, cells in shown.items()} == {
        str(one.pk): f"{one.name}\n{one.strategy_version.strategy.name} v{one.strategy_version.version}"
        f" · {one.instruments.get().tradingsymbol}"
        for one in Deployment.objects.select_related("strategy_version__strategy")
    }
    operator.open("/risk/")
    assert set(texts(operator, "switches")) == {
        str(pk) for pk in KillSwitch.objects.values_list("pk", flat=True)
    }
    operator.open("/backtests/")
    shown = texts(operator, "runs")
    for run in BacktestRun.objects.all():
        assert run.name in shown[str(run.pk)][1]
        assert shown[str(run.pk)][3] == run.state.lower()


@pytest.mark.parametrize("broker", ["paper", "zerodha"])
def test_paper_and_live_cannot_be_confused(broker: str, operator: Person) -> None:
    operator.open(f"/orders/?broker={broker}")
    badge = operator.page.locator(".badge")

    assert badge.inner_text() == {"paper": "PAPER", "zerodha": "LIVE"}[broker]
    assert len(texts(operator, "orders")) == Order.objects.filter(broker=broker).count()
