"""Kite's HTTP as its writes need it: one request, no retry, and how far it came where it failed.

The official client hides status and body of an answer behind its exceptions, and both decide what an answer proves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from alphapanda.kite.client import Access
from execution.domain.kite.outcomes import Stage

CONNECT_S, READ_S = 3.0, 7.0  # Kite's own clients wait for 7 s
USER_AGENT = "AlphaPanda"


class NotLoggedIn(Exception):
    """There is no access token that lives: somebody has to log in."""


class Failed(Exception):
    """A request that got no answer. Its text holds neither address nor headers."""

    def __init__(self, stage: Stage, words: str) -> None:
        super().__init__(words)
        self.stage = stage


class Answer(NamedTuple):
    status: int
    body: bytes


class KiteHttp:
    """Requests to one root. `credentials` is asked before each, so a new login counts at once. For one thread."""

    def __init__(self, root: str, credentials: Callable[[], Access]) -> None:
        self._root = root.rstrip("/")
        self._credentials = credentials
        self._kept: requests.Session | None = None

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Reads in here share a connection. A write has one of its own: of one that was closed meanwhile nobody could
        say how far the request came."""
        with _session() as session:
            self._kept = session
            try:
                yield
            finally:
                self._kept = None

    def write(self, method: str, path: str, form: Mapping[str, str]) -> Answer:
        """POST, PUT or DELETE, once. Raises Failed, NotLoggedIn."""
        if method == "DELETE":
            return self._ask(method, path, params=form)
        return self._ask(method, path, data=form)

    def read(self, path: str) -> Answer:
        """GET, once. Raises Failed, NotLoggedIn."""
        return self._ask("GET", path)

    def ask(self, path: str, body: object) -> Answer:
        """A question that takes a list as JSON and changes nothing, once. Raises Failed, NotLoggedIn."""
        return self._ask("POST", path, json=body)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        signed = self._credentials()
        headers = {
            "X-Kite-Version": "3",
            "User-Agent": USER_AGENT,
            "Authorization": f"token {signed.api_key}:{signed.access_token}",
        }
        kept = self._kept if method == "GET" else None
        try:
            with nullcontext(kept) if kept is not None else _session() as session:
                answer = session.request(
                    method,
                    self._root + path,
                    params=params,
                    data=data,
                    json=json,
                    headers=headers,
                    timeout=(CONNECT_S, READ_S),
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise Failed(_stage(error), f"{method} {path}: {type(error).__name__}") from None
        return Answer(answer.status_code, answer.content)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a .netrc would sign in another's name
    return session


_BEFORE_SENDING = (ConnectTimeoutError, NameResolutionError, NewConnectionError)


def _stage(error: requests.RequestException) -> Stage:
    """Whether a byte of the request can have been sent: a new connection that was not opened has sent none."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    is_unsent = isinstance(reason, _BEFORE_SENDING) or isinstance(error, requests.ConnectTimeout)
    return Stage.NOT_SENT if is_unsent else Stage.MAYBE_SENT
