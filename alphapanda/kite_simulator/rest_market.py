"""Instruments, quotes, candles, and what imaginary orders would block and cost."""

from __future__ import annotations

import asyncio

from aiohttp import web

from alphapanda.kite_simulator import candles, parsing, quotes
from alphapanda.kite_simulator.errors import GENERAL, KiteError, bad_input
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.wire import answer, json_body
from marketdata.domain.markets import Market, anchor_minutes
from marketdata.domain.ticks import Tick

QUOTES_MAX, PRICES_MAX = 500, 1_000
EXCHANGES = tuple(dict.fromkeys(market.exchange for market in Market))


def _asked(request: web.Request, most: int) -> dict[str, Tick]:
    keys = request.query.getall("i", [])
    if not 0 < len(keys) <= most:
        raise bad_input(f"From 1 to {most} instruments `i` can be asked for, not {len(keys)}.")
    simulator = request.app[SIMULATOR]
    return quotes.of_keys(keys, simulator.listing, simulator.market)


async def quote(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    percent = simulator.paper.circuit_percent
    market, listing, clock = simulator.market, simulator.listing, simulator.clock
    found = _asked(request, QUOTES_MAX)
    return answer({key: quotes.quote(tick, market, listing, clock, percent) for key, tick in found.items()})


async def ohlc(request: web.Request) -> web.Response:
    market = request.app[SIMULATOR].market
    return answer({key: quotes.ohlc(tick, market) for key, tick in _asked(request, PRICES_MAX).items()})


async def last_prices(request: web.Request) -> web.Response:
    return answer({key: quotes.last_price(tick) for key, tick in _asked(request, PRICES_MAX).items()})


async def instruments(request: web.Request) -> web.Response:
    exchange = request.match_info.get("exchange", "")
    if exchange and exchange not in EXCHANGES:
        raise bad_input(f"Invalid `exchange` {exchange[:20]!r}; accepted are {', '.join(EXCHANGES)}.")
    body = request.app[SIMULATOR].listing.csv(exchange)
    response = web.Response(body=body, content_type="text/csv")
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def historical(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    token, interval = request.match_info["token"], request.match_info["interval"]
    spec = simulator.listing.by_token.get(int(token)) if parsing.is_whole(token) else None
    if spec is None:
        raise bad_input("Invalid instrument token.")
    from_ms, to_ms = candles.span(request.query, interval)
    told, past = simulator.market.minutes(spec.token), simulator.market.past
    now_ms = simulator.clock.now_ms()

    def made() -> list[candles.Candle]:
        minutes = candles.bars(spec.token, told, past, from_ms, to_ms, now_ms=now_ms)
        folded = candles.folded(minutes, interval, anchor_minutes(spec.exchange))
        return candles.rows(folded, with_oi=request.query.get("oi") == "1")

    return answer({"candles": await asyncio.to_thread(made)})


async def margins(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer(simulator.calculator.margins(await json_body(request), simulator.clock.now_ms()))


async def basket(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    is_compact = request.query.get("mode") == "compact"
    body = await json_body(request)
    return answer(simulator.calculator.basket(body, simulator.clock.now_ms(), is_compact=is_compact))


async def charges(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer(simulator.calculator.charges(await json_body(request), simulator.clock.now_ms()))


async def trigger_range(request: web.Request) -> web.Response:
    """Where the trigger of a cover order could lie: below the last price of a purchase, above that of a sale."""
    is_purchase = request.match_info["side"].upper() == "BUY"
    return answer(
        {
            key: quotes.trigger_range(tick, is_purchase=is_purchase)
            for key, tick in _asked(request, PRICES_MAX).items()
        }
    )


async def not_offered(_request: web.Request) -> web.Response:
    raise KiteError(GENERAL, "The simulator does not offer this.", http=400)


ROUTES = (
    web.get("/quote", quote),
    web.get("/quote/ohlc", ohlc),
    web.get("/quote/ltp", last_prices),
    web.get("/instruments/historical/{token}/{interval}", historical),
    web.get("/instruments/trigger_range/{side}", trigger_range),
    web.get("/instruments", instruments),
    web.get("/instruments/{exchange}", instruments),
    web.post("/margins/orders", margins),
    web.post("/margins/basket", basket),
    web.post("/charges/orders", charges),
    web.route("*", "/mf/{rest:.*}", not_offered),
    web.get("/margins/{segment}", not_offered),
)
