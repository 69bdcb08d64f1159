"""Kite's websocket: connections that subscribe again after every loss, for ever, and notice when one falls silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, Protocol

import aiohttp

from marketdata.domain.kite_frames import Mode

TOKENS_MAX = 3_000  # of one connection
CONNECTIONS_MAX = 3  # of one app
SUBSCRIBED_AT_ONCE = 500
FORBIDDEN = 403
REFUSALS = 2  # of a token, one after the other: it is dead; a handshake may be refused by mistake once
VERSION = {"X-Kite-Version": "3"}


class Access(Protocol):
    """What opens Kite to an account."""

    @property
    def api_key(self) -> str: ...
    @property
    def access_token(self) -> str: ...


class Timing(NamedTuple):
    """Seconds. Kite sends a heartbeat every two or so where it has nothing else to send."""

    silent: float = 5.0  # without a message: the connection is dead
    handshake: float = 10.0
    closing: float = 0.5
    again_first: float = 0.25  # before the first attempt after a loss; each further one waits twice as long
    again_most: float = 5.0
    token_look: float = 1.0  # while there is no token, or a dead one
    refused_again: float = 2.0  # before a token that was refused once is tried again
    dead_again: float = 60.0  # before one that is called dead is, where it is given out all the same


class Hears(Protocol):
    """What is told of a connection, by its number, in the order in which it happens."""

    def opened(self, number: int) -> None:
        """It has subscribed anew: the last tick of each instrument comes again."""

    def subscribed(self, tokens: Sequence[int]) -> None:
        """The last tick of each of these comes, however old it is."""

    def frame(self, number: int, raw: bytes) -> None: ...

    def text(self, number: int, message: dict[str, Any]) -> None: ...

    def lost(self, number: int, reason: str) -> None: ...

    def refused(self, number: int, access: Access) -> None:
        """The token seems dead: nothing is heard for a while, or until there is another."""


class Connection:
    """One websocket. `access` is asked at every attempt, so a new token needs no restart; None: there is none now."""

    def __init__(
        self,
        number: int,
        *,
        url: str,
        mode: Mode,
        access: Callable[[], Awaitable[Access | None]],
        hears: Hears,
        timing: Timing,
    ) -> None:
        self.number = number
        self.tokens: set[int] = set()
        self._url = url
        self._mode = mode
        self._access = access
        self._hears = hears
        self._timing = timing
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._asking = asyncio.Lock()
        self._dead, self._dead_until = "", 0.0  # the token that is not tried for now
        self._is_heard = False  # since it was opened
        self._token = ""  # that opened it

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Connect, subscribe and hear until cancelled."""
        timing, failures, refusals = self._timing, 0, 0
        while True:
            access = await self._usable()
            self._is_heard = False
            reason = await self._once(session, access)
            refusals = 0 if reason is not None else refusals + 1
            if refusals == REFUSALS:
                self._dead, self._dead_until, refusals = access.access_token, _now() + timing.dead_again, 0
                self._hears.refused(self.number, access)
            elif reason is None:
                self._hears.lost(self.number, f"the handshake was answered {FORBIDDEN}")
                await asyncio.sleep(timing.refused_again)
            else:
                self._hears.lost(self.number, reason)
                failures = 0 if self._is_heard else failures + 1
                await asyncio.sleep(min(timing.again_first * 2.0 ** min(failures, 30), timing.again_most))

    async def want(self, tokens: set[int]) -> None:
        """Have these instruments and no others from now on."""
        async with self._asking:
            gone, new = sorted(self.tokens - tokens), sorted(tokens - self.tokens)
            self.tokens = set(tokens)
            if self._socket is None:
                return
            with suppress(aiohttp.ClientError, OSError):  # the one who hears finds that it is gone
                for some in _some(gone):
                    await self._send({"a": "unsubscribe", "v": some})
                await self._subscribe(new)

    async def renew(self, access: Access) -> None:
        """Connect anew where another login has opened the account since: an old token may bring heartbeats alone."""
        if self._socket is not None and access.access_token != self._token:
            await self._socket.close()

    async def _usable(self) -> Access:
        """The token as soon as there is one that was not called dead a moment ago."""
        while True:
            access = await self._access()
            if access is not None and (access.access_token != self._dead or _now() >= self._dead_until):
                return access
            await asyncio.sleep(self._timing.token_look)

    async def _once(self, session: aiohttp.ClientSession, access: Access) -> str | None:
        """One connection from its beginning to its end. Returns why it ended; None: its token was refused."""
        try:
            async with asyncio.timeout(self._timing.handshake):
                socket = await self._connect(session, access)
        except (
            aiohttp.WSServerHandshakeError
        ) as error:  # in words of ours: its own hold the address, with the token
            return None if error.status == FORBIDDEN else f"the handshake was answered {error.status}"
        except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError
            return f"no connection: {type(error).__name__}"
        try:
            self._token = access.access_token
            return await self._heard(socket)
        except (aiohttp.ClientError, OSError) as error:
            return f"broken off: {type(error).__name__}"
        finally:
            self._socket = None
            await socket.close()

    async def _connect(
        self, session: aiohttp.ClientSession, access: Access
    ) -> aiohttp.ClientWebSocketResponse:
        return await session.ws_connect(
            self._url,
            params={"api_key": access.api_key, "access_token": access.access_token},
            headers=VERSION,
            autoping=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=self._timing.closing),
            max_msg_size=0,
        )

    async def _heard(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        async with self._asking:
            self._socket = socket
            self._hears.opened(self.number)
            await self._subscribe(sorted(self.tokens))
        last = _now()
        while True:
            try:
                message = await socket.receive(max(0.05, last + self._timing.silent - _now()))
            except TimeoutError:
                return f"silent for {self._timing.silent:g} s"
            if message.type is aiohttp.WSMsgType.BINARY:
                self._hears.frame(self.number, message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._tell_text(message.data)
            elif message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
                continue  # a peer that only pings tells nothing of the market
            elif message.type is not aiohttp.WSMsgType.PONG:
                return f"closed with {socket.close_code}"
            self._is_heard, last = True, _now()

    def _tell_text(self, text: str) -> None:
        with suppress(ValueError, RecursionError):
            message = json.loads(text)
            if isinstance(message, dict):
                self._hears.text(self.number, message)

    async def _subscribe(self, tokens: Sequence[int]) -> None:
        async with asyncio.timeout(self._timing.handshake):  # one who reads nothing would hold it up for ever
            for some in _some(tokens):
                self._hears.subscribed(some)
                await self._send({"a": "subscribe", "v": some})
                await self._send({"a": "mode", "v": [self._mode.value, some]})

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            await self._socket.send_str(json.dumps(message, separators=(",", ":")))


def spread(wanted: Sequence[int], now: Sequence[set[int]]) -> tuple[list[set[int]], list[int]]:
    """What each connection is to have of the tokens wanted, the most wanted first, given what each has now: what is
    wanted stays where it is. There is one connection at least. Also returned: those for which there is no room."""
    room = TOKENS_MAX * CONNECTIONS_MAX
    chosen, left = list(wanted[:room]), list(wanted[room:])
    kept = set(chosen)
    lines = [tokens & kept for tokens in now] or [set()]
    placed = set().union(*lines)
    rest = iter([token for token in chosen if token not in placed])
    for number in range(CONNECTIONS_MAX):
        if number == len(lines):
            if len(placed) == len(chosen):
                break
            lines.append(set())
        more = list(islice(rest, TOKENS_MAX - len(lines[number])))
        lines[number].update(more)
        placed.update(more)
    return lines, left


def _some(tokens: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(tokens), SUBSCRIBED_AT_ONCE):
        yield list(tokens[start : start + SUBSCRIBED_AT_ONCE])


def _now() -> float:
    return asyncio.get_running_loop().time()
