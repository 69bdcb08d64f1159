"""The simulator's own door, beside Kite's: its whole book, faults, orders from elsewhere, time."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from alphapanda.core.clock import ist_text
from alphapanda.kite_simulator import positions
from alphapanda.kite_simulator.errors import bad_input
from alphapanda.kite_simulator.faults import Fired, faults_from
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.orders import Row, SimOrder, trade_row
from alphapanda.kite_simulator.script import Step, do
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.wire import answer, json_body, number

PREFIX = "/__simulator__/"


async def _object(request: web.Request) -> Any:
    """The JSON of a request. A page of somebody else's cannot send this content type unasked."""
    if request.content_type != "application/json":
        raise bad_input("A body of the content type application/json is expected.")
    return await json_body(request)


def whole_book(simulator: Simulator) -> Row:
    """All that the broker knows of the account, whatever it has shown: what a test compares with its own books."""
    return {
        "clock": ist_text(simulator.clock.now_ms()),
        "clock_ms": simulator.clock.now_ms(),
        "orders": [_order(order, simulator) for order in simulator.book.orders.values()],
        "positions": positions.positions(simulator.ledger, simulator.listing, simulator.market),
        "holdings": positions.holdings(simulator.ledger, simulator.listing, simulator.market, ""),
        "gtts": [simulator.gtts.row(one) for one in simulator.gtts.all.values()],
        "cash": number(simulator.desk.cash),
        "net": number(simulator.funds("equity").net),
        "realised": number(simulator.funds("equity").realised),
        "charges": number(simulator.charges()),
        "posts": dict(simulator.posts),
        "refused": dict(simulator.refused),
        "orders_today": simulator.limits.orders_today(simulator.clock.pace_ms()),
        "faults": _faults(simulator),
    }


def _order(order: SimOrder, simulator: Simulator) -> Row:
    """The last row that is shown, and the truth beside it."""
    core = order.core
    return {
        "order_id": order.order_id,
        "tag": order.wanted.tag,
        "algo_id": order.wanted.algo_id,
        "is_ours": bool(order.app),
        "true_status": core.status.value,
        "true_filled": core.filled_quantity,
        "quantity": core.quantity,
        "shown": order.rows[-1] if order.rows else None,
        "history": [row["status"] for row in order.rows],
        "trades": [trade_row(order, trade, simulator.clock) for trade in order.trades],
    }


def _faults(simulator: Simulator) -> Row:
    return {
        "armed": msgspec.to_builtins(simulator.faults.armed),
        "fired": [_fired(one) for one in simulator.faults.fired],
    }


def _fired(one: Fired) -> Row:
    return {**msgspec.to_builtins(one), "at": ist_text(one.at_ms)}


async def show_book(request: web.Request) -> web.Response:
    return answer(whole_book(request.app[SIMULATOR]))


async def show_posts(request: web.Request) -> web.Response:
    return answer(dict(request.app[SIMULATOR].posts))


async def show_faults(request: web.Request) -> web.Response:
    return answer(_faults(request.app[SIMULATOR]))


async def arm(request: web.Request) -> web.Response:
    """POST faults: one, or a list."""
    simulator = request.app[SIMULATOR]
    try:
        simulator.faults.arm(faults_from(await _object(request)))
    except ValueError as error:
        raise bad_input(str(error)) from None
    return answer(_faults(simulator))


async def disarm(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    simulator.faults.clear()
    return answer(_faults(simulator))


async def step(request: web.Request) -> web.Response:
    """POST step: what a step of a script does, now."""
    try:
        wanted = msgspec.convert(await _object(request), Step)
    except msgspec.ValidationError as error:
        raise bad_input(str(error)) from None
    return answer(do(request.app[SIMULATOR], wanted))


async def place(request: web.Request) -> web.Response:
    """POST orders: an order of another app, with the fields of a request and `variety`."""
    order = await _object(request)
    if not isinstance(order, dict):
        raise bad_input("An object of the fields of an order is expected.")
    return answer(do(request.app[SIMULATOR], Step(place=order)))


async def cancel(request: web.Request) -> web.Response:
    do(request.app[SIMULATOR], Step(cancel=request.match_info["order_id"]))
    return answer(True)


async def show_clock(request: web.Request) -> web.Response:
    clock = request.app[SIMULATOR].clock
    now_ms = clock.now_ms()
    return answer({"now": ist_text(now_ms), "now_ms": now_ms, "speed": clock.speed, "skew_ms": clock.skew_ms})


async def move_clock(request: web.Request) -> web.Response:
    """POST clock: `advance_ms` forward, `skew_ms` for the times that are stated, another `speed`."""
    simulator = request.app[SIMULATOR]
    wanted = await _object(request)
    names = ("advance_ms", "skew_ms", "speed")
    if not isinstance(wanted, dict) or not all(
        name in names and type(value) is int for name, value in wanted.items()
    ):
        raise bad_input(f"An object with whole numbers is expected: {', '.join(names)}.")
    simulator.clock.skew_ms = wanted.get("skew_ms", simulator.clock.skew_ms)
    try:
        simulator.advance(wanted.get("advance_ms", 0))
        simulator.run_at(wanted.get("speed", simulator.clock.speed))
    except ValueError as error:
        raise bad_input(str(error)) from None
    return await show_clock(request)


async def log_in(request: web.Request) -> web.Response:
    """POST login: a request token, without the page."""
    return answer({"request_token": request.app[SIMULATOR].sessions.login()})


ROUTES = (
    web.get(f"{PREFIX}book", show_book),
    web.get(f"{PREFIX}posts", show_posts),
    web.get(f"{PREFIX}faults", show_faults),
    web.post(f"{PREFIX}faults", arm),
    web.delete(f"{PREFIX}faults", disarm),
    web.post(f"{PREFIX}step", step),
    web.post(f"{PREFIX}orders", place),
    web.delete(f"{PREFIX}orders/{{order_id}}", cancel),
    web.get(f"{PREFIX}clock", show_clock),
    web.post(f"{PREFIX}clock", move_clock),
    web.post(f"{PREFIX}login", log_in),
)
