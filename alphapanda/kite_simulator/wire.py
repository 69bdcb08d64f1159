"""Answers as bytes, and what requests say: Kite's envelope, forms, JSON bodies and headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from alphapanda.core.money import to_rupees
from alphapanda.kite_simulator.errors import KiteError, bad_input

_encoder = msgspec.json.Encoder(decimal_format="number")
COMPRESSED_FROM = 512  # bytes: smaller answers are not worth it


def number(amount: Decimal) -> int | Decimal:
    """An amount as Kite writes it: whole numbers without a point."""
    return int(amount) if amount == amount.to_integral_value() else amount.normalize()


def rupees(price_e4: int | None) -> int | Decimal:
    """A price as Kite writes it; 0 where there is none."""
    return number(to_rupees(price_e4 or 0))


def encoded(value: object) -> bytes:
    """JSON with exact decimal numbers."""
    return _encoder.encode(value)


def answer(data: object) -> web.Response:
    return _json({"status": "success", "data": data}, 200)


def refusal(error: KiteError) -> web.Response:
    return _json(error.body(), error.http)


def _json(value: object, http: int) -> web.Response:
    body = encoded(value)
    response = web.Response(body=body, status=http, content_type="application/json")
    if len(body) >= COMPRESSED_FROM:
        response.enable_compression()
    return response


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form; a JSON object is read as one. Raises KiteError."""
    if request.content_type == "application/json":
        body = await json_body(request)
        if not isinstance(body, dict):
            raise bad_input("Invalid request body: an object of fields is expected.")
        return {name: _text(value) for name, value in body.items() if value is not None}
    fields = await request.post()
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def json_body(request: web.Request) -> Any:
    """The JSON body of a request, numbers exact. Raises KiteError."""
    return parsed(await request.text())


def parsed(text: str) -> Any:
    """JSON with exact numbers. Raises KiteError."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        raise bad_input("Invalid JSON in the request.") from None


def authorization(headers: Mapping[str, str]) -> tuple[str, str]:
    """Key and token of the header `Authorization: token api_key:access_token`; empty where there is none."""
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    key, _, token = rest.strip().partition(":")
    return (key, token) if scheme.lower() == "token" else ("", "")
