"""The web application of the simulator: routes, who may call, and Kite's envelope around every answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import ip_address

from aiohttp import web

from alphapanda import logs
from alphapanda.kite_simulator import control, login, postbacks, rest_market, rest_orders, rest_user
from alphapanda.kite_simulator.errors import GENERAL, KiteError
from alphapanda.kite_simulator.gate import Handler, gate
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.ticker import WEBSOCKET_PATH
from alphapanda.kite_simulator.wire import refusal

BODY_MAX = 4 << 20
LINE_MAX = 1 << 17  # a thousand instruments are asked for in one line
WORDS = {404: "Route not found", 405: "Method not allowed", 413: "Request body is too large"}

log = logs.channel("application")


def application(simulator: Simulator) -> web.Application:
    """The application of a simulator; it keeps up with its clock while it is served."""
    app = web.Application(middlewares=[_loopback_only, _enveloped, gate], client_max_size=BODY_MAX)
    app[SIMULATOR] = simulator
    app.add_routes([web.get("/connect/login", login.show), web.post("/connect/login", login.submit)])
    for routes in (rest_user.ROUTES, rest_orders.ROUTES, rest_market.ROUTES, control.ROUTES):
        app.add_routes(routes)
    app.add_routes([web.get(WEBSOCKET_PATH, simulator.ticker.handle)])
    app.cleanup_ctx.extend([postbacks.sending, _kept_going])
    return app


def runner_of(simulator: Simulator) -> web.AppRunner:
    """What serves a simulator. No log of requests: addresses hold tokens."""
    return web.AppRunner(application(simulator), access_log=None, max_line_size=LINE_MAX)


async def _kept_going(app: web.Application) -> AsyncIterator[None]:
    pump = asyncio.create_task(app[SIMULATOR].run())
    pump.add_done_callback(_told)
    yield
    pump.cancel()
    with suppress(asyncio.CancelledError):
        await pump


def _told(pump: asyncio.Task[None]) -> None:
    if not pump.cancelled() and (error := pump.exception()):
        log.error("application.kite_simulator.stopped", error=repr(error))


@web.middleware
async def _loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Neither another machine nor, through a name that points here, a page of somebody else's."""
    host = request.url.host or ""
    is_local = host == "localhost" or _is_loopback(host)
    if not is_local or not _is_loopback(request.remote or ""):
        raise web.HTTPForbidden(text="The simulator answers this machine only.")
    return await handler(request)


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


@web.middleware
async def _enveloped(request: web.Request, handler: Handler) -> web.StreamResponse:
    request.app[SIMULATOR].catch_up()
    try:
        return await handler(request)
    except KiteError as error:
        return refusal(error)
    except web.HTTPException as error:
        if error.status not in WORDS:
            raise
        return refusal(KiteError(GENERAL, WORDS[error.status], http=error.status))
    except Exception as error:
        log.exception("application.kite_simulator.failed", path=request.path)
        return refusal(KiteError(GENERAL, f"The simulator failed: {type(error).__name__}"))
