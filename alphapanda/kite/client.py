"""The official client of Kite at the configured address; whatever goes wrong is one of four problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import requests
from django.conf import settings

from alphapanda.logs import without_secrets

PATIENCE_S = 7.0
WORDS_MAX = 200
FORBIDDEN, TOO_MANY, SERVER_FAULT = 403, 429, 500
NOT_KITES = "the answer is none of Kite's"
Answer = TypeVar("Answer")


class KiteProblem(RuntimeError):
    """Kite did not answer as asked; the message is Kite's own where there is one."""


class TokenDead(KiteProblem):
    """The access token is not valid (any more): nothing can be asked before the next login."""


class Refused(KiteProblem):
    """The request makes no sense to Kite, or the app may not ask it: asking again changes nothing."""


class TooMany(KiteProblem):
    """More requests than Kite's rate limits let through; later it may pass."""


class Unavailable(KiteProblem):
    """Kite could not be reached, or did not answer in its own form. Whether it has acted is not known."""


@dataclass(frozen=True, slots=True)
class Access:
    """What opens Kite to an account; `session_id` says which login it came from."""

    api_key: str
    access_token: str = field(repr=False)
    session_id: UUID


class Client:
    """The official client. It follows no redirects, so that a token goes to nobody else, and numbers with a point
    are Decimals: no price is ever a float. Every method raises KiteProblem."""

    def __init__(self, api_key: str, access_token: str = "", *, patience_s: float = PATIENCE_S) -> None:
        # imported here: it brings Twisted's reactor along, and the supervisor forks before there may be one
        from kiteconnect import KiteConnect

        self.api_key = api_key
        self._kite = KiteConnect(
            api_key, access_token or None, root=settings.KITE_API_URL, timeout=patience_s
        )
        self._kite.reqsession.max_redirects = 0
        self._kite.reqsession.trust_env = False  # a .netrc would sign in another's name
        self._kite.reqsession.hooks["response"].append(_exact)

    def use(self, access_token: str) -> None:
        """Ask with this token from now on."""
        self._kite.set_access_token(access_token)

    def ask(
        self, route: str, *, url: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer to a GET of a route of the official client, as Kite gave it."""
        return _answered(lambda: self._kite._get(route, url_args=url, params=params))

    def session_of(self, request_token: str, api_secret: str) -> dict[str, Any]:
        """Exchange a request token; the client uses the access token that comes of it."""
        return _answered(lambda: self._kite.generate_session(request_token, api_secret))

    def end_session(self) -> None:
        """Have Kite end the access token in use."""
        _answered(self._kite.invalidate_access_token)


def _exact(response: requests.Response, **_given: Any) -> None:
    response.json = partial(response.json, parse_float=Decimal)


def _answered(call: Callable[[], Answer]) -> Answer:
    """What a call of the official client returns. Raises KiteProblem for whatever it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  (an answer of another shape may raise anything in the client)
        problem = _problem(error)
    raise problem  # outside: the error before may hold addresses and headers with tokens


def _problem(error: Exception) -> KiteProblem:
    from kiteconnect.exceptions import KiteException

    if isinstance(error, KiteException):
        return _kind(type(error).__name__, error.code, str(error))(_words(error) or NOT_KITES)
    if isinstance(error, requests.RequestException):
        return Unavailable(f"Kite could not be reached: {type(error).__name__}")
    return Unavailable(f"{NOT_KITES}: {type(error).__name__}")


def _kind(name: str, code: int, words: str) -> type[KiteProblem]:
    if name == "TokenException" and code == FORBIDDEN:
        return TokenDead
    # also told as 200 with an error in it
    if code == TOO_MANY or "too many requests" in words.lower():
        return TooMany
    if code >= SERVER_FAULT or name in ("NetworkException", "DataException"):
        return Unavailable
    return Refused


def _words(error: Exception) -> str:
    return without_secrets(" ".join(str(error).split()))[:WORDS_MAX]
