"""The broker's login page: a stub that asks for nothing secret."""

from __future__ import annotations

from html import escape

from aiohttp import web

from alphapanda.kite_simulator.errors import bad_input
from alphapanda.kite_simulator.keys import SIMULATOR

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Kite simulator</title>
<body style="font-family:sans-serif;max-width:28em;margin:4em auto">
<h1>Kite simulator</h1>{body}</body></html>"""
FORM = """<p>This is not Zerodha: no password is asked for. Log in as <b>{user}</b> for the app <b>{key}</b>?</p>
<form method="post"><input type="hidden" name="api_key" value="{key}">
<input type="hidden" name="redirect_params" value="{params}">
<button name="act" value="login">Log in</button> <button name="act" value="refuse">Refuse</button></form>"""
SHOWN = """<p>The app has registered no address to go back to. Its request token, good for three minutes:</p>
<p><code>{token}</code></p>"""


async def show(request: web.Request) -> web.Response:
    """GET /connect/login?v=3&api_key=K: the page."""
    simulator = request.app[SIMULATOR]
    api_key = request.query.get("api_key", "")
    simulator.sessions.check_key(api_key)
    if request.query.get("v") != "3":
        raise bad_input("Invalid API version; `v=3` is expected.")
    params = escape(request.query.get("redirect_params", ""))
    return _page(FORM.format(user=escape(simulator.account.user_id), key=escape(api_key), params=params))


async def submit(request: web.Request) -> web.Response:
    """POST /connect/login: back to the app with a request token, or without."""
    sessions = request.app[SIMULATOR].sessions
    fields = await request.post()
    sessions.check_key(str(fields.get("api_key", request.query.get("api_key", ""))))
    params = str(fields.get("redirect_params", ""))
    if fields.get("act") == "refuse":
        address = sessions.refused(params)
        return _found(address) if address else _page("<p>Not logged in.</p>")
    token = sessions.login()
    address = sessions.landing(token, params)
    return _found(address) if address else _page(SHOWN.format(token=escape(token)))


def _page(body: str) -> web.Response:
    return web.Response(text=PAGE.format(body=body), content_type="text/html")


def _found(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address})
