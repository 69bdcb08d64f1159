"""Orders, trades, the portfolio, triggers and alerts."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from alphapanda.core.vocabulary import Product, Side
from alphapanda.kite_simulator import parsing, positions
from alphapanda.kite_simulator.errors import PERMISSION, KiteError, bad_input
from alphapanda.kite_simulator.faults import Kind
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.ledger import NotHeld
from alphapanda.kite_simulator.orders import trade_row
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.wire import answer, form

NOT_REGISTERED = "Your IP address is not registered for placing orders with this app."


def _writable(request: web.Request) -> Simulator:
    """The simulator, where this address may write orders. Raises KiteError."""
    simulator = request.app[SIMULATOR]
    if simulator.switches.static_ip_refused:
        raise KiteError(PERMISSION, NOT_REGISTERED)
    return simulator


def _late_ms(simulator: Simulator, name: str, tag: str) -> int:
    """How much later a write is carried out."""
    late = simulator.faults.takes(Kind.LATE, on=[name], tag=tag)
    return late.ms if late else 0


async def place(request: web.Request) -> web.Response:
    simulator = _writable(request)
    fields = await form(request)
    wanted = parsing.wanted(request.match_info["variety"], fields, simulator.listing.by_key)
    return answer(simulator.place(wanted, late_ms=_late_ms(simulator, "place", wanted.tag or "")))


async def modify(request: web.Request) -> web.Response:
    simulator = _writable(request)
    changed = parsing.changed(await form(request))
    book, order_id = simulator.book, request.match_info["order_id"]
    late_ms = _late_ms(simulator, "modify", book.find(order_id).wanted.tag or "")
    simulator.act(order_id, lambda at_ms: book.modification(order_id, changed, at_ms=at_ms), late_ms)
    return answer({"order_id": order_id})


async def cancel(request: web.Request) -> web.Response:
    simulator = _writable(request)
    book, order_id = simulator.book, request.match_info["order_id"]
    late_ms = _late_ms(simulator, "cancel", book.find(order_id).wanted.tag or "")
    simulator.act(order_id, lambda at_ms: book.cancellation(order_id, at_ms=at_ms), late_ms)
    return answer({"order_id": order_id})


async def orders(request: web.Request) -> web.Response:
    book = request.app[SIMULATOR].book
    return answer([order.rows[-1] for order in book.orders.values() if order.rows])


async def history(request: web.Request) -> web.Response:
    return answer(request.app[SIMULATOR].book.find(request.match_info["order_id"]).rows)


async def trades(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    found = [(order, trade) for order in simulator.book.orders.values() for trade in order.trades]
    found.sort(key=lambda pair: pair[1].trade_id)
    return answer([trade_row(order, trade, simulator.clock) for order, trade in found])


async def order_trades(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    order = simulator.book.find(request.match_info["order_id"])
    return answer([trade_row(order, trade, simulator.clock) for trade in order.trades])


async def show_positions(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer(positions.positions(simulator.ledger, simulator.listing, simulator.market))


async def convert(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    fields = await form(request)
    spec = parsing.instrument(fields, simulator.listing.by_key)
    old = parsing.word("old_product", Product, fields)
    new = parsing.word("new_product", Product, fields)
    position_type = fields.get("position_type", "")
    if position_type not in ("day", "overnight") or old is new:
        raise bad_input("Invalid `position_type`, or the products are the same.")
    try:
        simulator.ledger.convert(
            spec.token,
            parsing.word("transaction_type", Side, fields),
            parsing.whole("quantity", fields.get("quantity", ""), least=1),
            old=old,
            new=new,
            is_overnight=position_type == "overnight",
        )
    except NotHeld as error:
        raise bad_input(str(error)) from None
    return answer(True)


def _holdings(simulator: Simulator) -> list[dict[str, Any]]:
    midnight = f"{simulator.clock.text(simulator.clock.now_ms())[:10]} 00:00:00"
    return positions.holdings(simulator.ledger, simulator.listing, simulator.market, midnight)


async def show_holdings(request: web.Request) -> web.Response:
    return answer(_holdings(request.app[SIMULATOR]))


async def holdings_summary(request: web.Request) -> web.Response:
    return answer(positions.summary(_holdings(request.app[SIMULATOR])))


async def holdings_compact(request: web.Request) -> web.Response:
    names = ("exchange", "tradingsymbol", "instrument_token", "quantity")
    return answer([{name: row[name] for name in names} for row in _holdings(request.app[SIMULATOR])])


async def nothing_listed(_request: web.Request) -> web.Response:
    return answer([])


async def authorise(request: web.Request) -> web.Response:
    """POST /portfolio/holdings/authorise: the depository's page is skipped, all that is held may be sold."""
    simulator = request.app[SIMULATOR]
    for token, shares in simulator.ledger.demat.items():
        simulator.ledger.authorise(token, shares.quantity)
    return answer({"request_id": f"simulated{simulator.clock.now_ms()}"})


async def place_gtt(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer({"trigger_id": simulator.gtts.place(await form(request), simulator.clock.now_ms())})


async def show_gtts(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer(simulator.gtts.rows(simulator.clock.now_ms()))


def _trigger_id(request: web.Request) -> int:
    return parsing.whole("trigger_id", request.match_info["trigger_id"], least=1)


async def show_gtt(request: web.Request) -> web.Response:
    gtts = request.app[SIMULATOR].gtts
    return answer(gtts.row(gtts.find(_trigger_id(request))))


async def modify_gtt(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    fields = await form(request)
    changed = simulator.gtts.modify(_trigger_id(request), fields, simulator.clock.now_ms())
    return answer({"trigger_id": changed})


async def delete_gtt(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer({"trigger_id": simulator.gtts.delete(_trigger_id(request), simulator.clock.now_ms())})


async def create_alert(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer(simulator.alerts.create(await form(request), simulator.clock.now_ms()))


async def show_alerts(request: web.Request) -> web.Response:
    return answer(request.app[SIMULATOR].alerts.rows())


async def show_alert(request: web.Request) -> web.Response:
    alerts = request.app[SIMULATOR].alerts
    return answer(alerts.row(alerts.find(request.match_info["uuid"])))


async def alert_history(request: web.Request) -> web.Response:
    return answer(request.app[SIMULATOR].alerts.find(request.match_info["uuid"]).history)


async def modify_alert(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    fields = await form(request)
    return answer(simulator.alerts.modify(request.match_info["uuid"], fields, simulator.clock.now_ms()))


async def delete_alerts(request: web.Request) -> web.Response:
    """DELETE /alerts?uuid=…, repeated."""
    simulator = request.app[SIMULATOR]
    simulator.alerts.delete(request.query.getall("uuid", []), simulator.clock.now_ms())
    return answer(None)


ROUTES = (
    web.get("/orders", orders),
    web.post("/orders/{variety}", place),
    web.get("/orders/{order_id}", history),
    web.get("/orders/{order_id}/trades", order_trades),
    web.put("/orders/{variety}/{order_id}", modify),
    web.delete("/orders/{variety}/{order_id}", cancel),
    web.get("/trades", trades),
    web.get("/portfolio/positions", show_positions),
    web.put("/portfolio/positions", convert),
    web.get("/portfolio/holdings", show_holdings),
    web.get("/portfolio/holdings/summary", holdings_summary),
    web.get("/portfolio/holdings/compact", holdings_compact),
    web.get("/portfolio/holdings/auctions", nothing_listed),
    web.post("/portfolio/holdings/authorise", authorise),
    web.get("/gtt/triggers", show_gtts),
    web.post("/gtt/triggers", place_gtt),
    web.get("/gtt/triggers/{trigger_id}", show_gtt),
    web.put("/gtt/triggers/{trigger_id}", modify_gtt),
    web.delete("/gtt/triggers/{trigger_id}", delete_gtt),
    web.get("/alerts", show_alerts),
    web.post("/alerts", create_alert),
    web.delete("/alerts", delete_alerts),
    web.get("/alerts/{uuid}", show_alert),
    web.put("/alerts/{uuid}", modify_alert),
    web.get("/alerts/{uuid}/history", alert_history),
)
