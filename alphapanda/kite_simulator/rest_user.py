"""Session, profile and funds."""

from __future__ import annotations

from aiohttp import web

from alphapanda.kite_simulator import rows
from alphapanda.kite_simulator.errors import PERMISSION, KiteError, bad_input
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.wire import answer, form

SEGMENTS = ("equity", "commodity")


async def create_session(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    fields = await form(request)
    names = ("api_key", "request_token", "checksum")
    session = simulator.sessions.exchange(*(fields.get(name, "") for name in names))
    return answer(rows.session(simulator.account, session, simulator.clock))


async def end_session(request: web.Request) -> web.Response:
    """DELETE /session/token?api_key&access_token: dead tokens are refused like any."""
    simulator = request.app[SIMULATOR]
    query = request.query
    simulator.sessions.check_key(query.get("api_key", ""))
    if "refresh_token" in query:
        raise KiteError(PERMISSION, "Refresh tokens are not offered to individual users.")
    simulator.sessions.check(query["api_key"], query.get("access_token", ""))
    simulator.sessions.end()
    return answer(True)


async def renew_session(_request: web.Request) -> web.Response:
    raise KiteError(PERMISSION, "Refresh tokens are not offered to individual users.")


async def profile(request: web.Request) -> web.Response:
    return answer(rows.profile(request.app[SIMULATOR].account))


async def margins(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return answer({segment: rows.funds(simulator.funds(segment)) for segment in SEGMENTS})


async def margins_of(request: web.Request) -> web.Response:
    segment = request.match_info["segment"]
    if segment not in SEGMENTS:
        raise bad_input(f"Invalid segment `{segment}`.")
    return answer(rows.funds(request.app[SIMULATOR].funds(segment)))


ROUTES = (
    web.post("/session/token", create_session),
    web.delete("/session/token", end_session),
    web.post("/session/refresh_token", renew_session),
    web.get("/user/profile", profile),
    web.get("/user/profile/full", profile),
    web.get("/user/margins", margins),
    web.get("/user/margins/{segment}", margins_of),
)
