"""Who may call: one account, one app of its own, and the tokens that come of its logins."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import time, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from alphapanda.core.clock import DAY_MS, ist_date, ist_ms
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.errors import INPUT, TOKEN, KiteError, bad_input

REQUEST_TOKEN_MS = 180_000  # how long a request token may be exchanged
DIES_AT = time(6)  # IST: every access token of the day before
TOKEN_DEAD = "Incorrect `api_key` or `access_token`."  # noqa: S105 - Kite's words


@dataclass(frozen=True, slots=True)
class Account:
    """The client of the broker, and the app that it has registered. An empty `redirect_url`: the login page shows
    the request token; an empty `postback_url`: none are sent."""

    user_id: str = "AB1234"
    api_key: str = "simulatorapikey"
    api_secret: str = field(default="simulatorapisecret", repr=False)
    redirect_url: str = ""
    postback_url: str = ""
    app_id: int = 1234


@dataclass(frozen=True, slots=True)
class Session:
    """A login: its tokens, and when it dies."""

    access_token: str = field(repr=False)
    public_token: str = field(repr=False)
    enctoken: str = field(repr=False)
    login_ms: int
    dies_ms: int


def checksum(*parts: str) -> str:
    """Kite's checksum: SHA-256 of the parts, hex."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def dies_ms(login_ms: int) -> int:
    """The first six o'clock in India after a login."""
    today = ist_ms(ist_date(login_ms), DIES_AT)
    return today if login_ms < today else today + DAY_MS


class Sessions:
    """Tokens of the one account: a request token is good once and for three minutes, an access token until six in the
    morning or the next login."""

    def __init__(self, account: Account, clock: SimClock) -> None:
        self.account = account
        self.current: Session | None = None
        self._clock = clock
        self._offered: dict[str, int] = {}  # request tokens and until when they are good

    def login(self) -> str:
        """The request token of a login at the broker's page."""
        token = secrets.token_hex(16)
        self._offered[token] = self._clock.now_ms() + REQUEST_TOKEN_MS
        return token

    def landing(self, request_token: str, redirect_params: str) -> str:
        """Where the browser goes after the login page; empty where the app has registered no address."""
        return self._redirect(redirect_params, request_token=request_token, action="login", status="success")

    def refused(self, redirect_params: str) -> str:
        """Where the browser goes when the operator does not log in."""
        return self._redirect(redirect_params, action="login", status="cancelled")

    def _redirect(self, redirect_params: str, **query: str) -> str:
        if not self.account.redirect_url:
            return ""
        parts = urlsplit(self.account.redirect_url)
        pairs = [*parse_qsl(parts.query), *parse_qsl(redirect_params), *query.items()]
        return urlunsplit(parts._replace(query=urlencode(pairs)))

    def exchange(self, api_key: str, request_token: str, given: str) -> Session:
        """The session of a request token; the one before it is dead from now on. Raises KiteError."""
        account = self.account
        if not api_key or not request_token or not given:
            raise bad_input("Missing or empty field `api_key`, `request_token` or `checksum`.")
        self.check_key(api_key)
        until_ms = self._offered.pop(request_token, 0)
        if self._clock.now_ms() >= until_ms:
            raise KiteError(TOKEN, "Token is invalid or has expired.")
        wanted = checksum(account.api_key, request_token, account.api_secret)
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise KiteError(TOKEN, "Invalid `checksum`.")
        now_ms = self._clock.now_ms()
        tokens = (secrets.token_hex(16) for _ in range(3))
        self.current = Session(*tokens, login_ms=now_ms, dies_ms=dies_ms(now_ms))
        return self.current

    def check_key(self, api_key: str) -> None:
        """Raises KiteError for the key of no app."""
        if api_key != self.account.api_key:
            raise KiteError(INPUT, "Invalid `api_key`.")

    def is_alive(self, api_key: str, access_token: str) -> bool:
        """Whether the tokens are those of the session that holds."""
        session = self.current
        if session is None or api_key != self.account.api_key or self._clock.now_ms() >= session.dies_ms:
            return False
        return hmac.compare_digest(session.access_token.encode(), access_token.encode())

    def check(self, api_key: str, access_token: str) -> None:
        """Raises KiteError where the tokens are not those of the session that holds."""
        if not self.is_alive(api_key, access_token):
            raise KiteError(TOKEN, TOKEN_DEAD)

    def end(self) -> None:
        """The session is over: a logout, or the broker ended it."""
        self.current = None

    def countdown(self) -> timedelta:
        """How long the session has to live; nothing where there is none."""
        left_ms = self.current.dies_ms - self._clock.now_ms() if self.current else 0
        return timedelta(milliseconds=max(left_ms, 0))
