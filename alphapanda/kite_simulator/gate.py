"""What stands before every call of Kite's API: tokens, rate limits, and the faults that hit calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from alphapanda.kite_simulator.errors import NETWORK, ORDER, KiteError, bad_input
from alphapanda.kite_simulator.faults import AFTER_ACCEPT, REFUSALS, WRITES, Fired, Kind
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.wire import authorization, form

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# what is called without an access token in a header
OPEN_PATHS = ("/session/", "/connect/", "/__simulator__/")
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
GATEWAY = "<html><head><title>504 Gateway Time-out</title></head></html>"
NAMES = {"POST": "place", "PUT": "modify", "DELETE": "cancel"}


def is_open(request: web.Request) -> bool:
    """Whether a call needs no access token, or is of no route."""
    path = request.path
    return path == "/" or path.startswith(OPEN_PATHS) or request.match_info.http_exception is not None


def kind_of(request: web.Request) -> str:
    """By which limit a call is counted."""
    if request.path.startswith("/quote"):
        return "quote"
    if request.path.startswith("/instruments/historical/"):
        return "historical"
    return "orders" if is_placing(request) else "other"


def is_placing(request: web.Request) -> bool:
    return request.method == "POST" and request.path.startswith("/orders/")


def name_of(request: web.Request) -> str:
    """What faults call a request: place, modify, cancel, gtt, or get for all that changes nothing."""
    if request.path.startswith("/orders/") and request.method in NAMES:
        return NAMES[request.method]
    return "gtt" if request.path.startswith("/gtt/") and request.method != "GET" else "get"


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    if is_open(request):
        return await handler(request)
    simulator = request.app[SIMULATOR]
    if request.headers.get("X-Kite-Version", "3") != "3":
        raise bad_input("Invalid API version; the header `X-Kite-Version: 3` is expected.")
    name, tag = name_of(request), await _tag(request, simulator)
    on = [name, request.path]
    if name == "place":
        simulator.posts[tag] += 1
    try:
        lost = _enter(request, simulator, on, tag)
    except KiteError:
        simulator.refused[tag] += name == "place"
        raise
    if lost is not None:
        return lost
    response = await handler(request)
    return _spoilt(request, response, on, tag)


def _enter(request: web.Request, simulator: Simulator, on: list[str], tag: str) -> web.StreamResponse | None:
    """What a call is answered that got lost on its way here; None for one that is let in. Raises KiteError for a call
    that is refused at the door: nothing of it was carried out."""
    simulator.sessions.check(*authorization(request.headers))
    if refused := simulator.faults.takes(*REFUSALS, on=on, tag=tag):
        if refused.kind is Kind.LOST:
            return _without_answer(request)
        raise _refusal(refused, simulator)
    simulator.limits.take(kind_of(request), simulator.clock.pace_ms())
    return None


async def _tag(request: web.Request, simulator: Simulator) -> str:
    """The tag of the order that a call is about."""
    if is_placing(request):
        return (await form(request)).get("tag", "")
    order = simulator.book.orders.get(request.match_info.get("order_id", ""))
    return (order.wanted.tag or "") if order else ""


def _refusal(fired: Fired, simulator: Simulator) -> KiteError:
    if fired.kind is Kind.UNAVAILABLE:
        return KiteError(NETWORK, "Gateway is unavailable.", http=503)
    error = simulator.limits.refusal()
    error.http = 200 if fired.kind is Kind.BURST_200 else 429
    return error


def _spoilt(
    request: web.Request, response: web.StreamResponse, on: list[str], tag: str
) -> web.StreamResponse:
    """The answer of a call that was carried out, as the client gets it. Raises KiteError."""
    faults = request.app[SIMULATOR].faults
    if faults.takes(Kind.GARBAGE, on=on, tag=tag):
        return web.Response(text="{a:b}", content_type="application/json")
    fired = faults.takes(*AFTER_ACCEPT, on=on, tag=tag) if on[0] in WRITES else None
    if fired is None:
        return response
    if fired.kind is Kind.TIMED_OUT_400:
        raise KiteError(ORDER, TIMED_OUT, http=400)
    if fired.kind is Kind.DROPPED:
        return _without_answer(request)
    return web.Response(status=504, text=GATEWAY, content_type="text/html")


def _without_answer(request: web.Request) -> web.StreamResponse:
    """The connection ends here; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
