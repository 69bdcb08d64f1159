"""The simulator's websocket: binary ticks in three modes, heartbeats, and text frames of orders and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from alphapanda.kite_simulator.errors import TOKEN, KiteError
from alphapanda.kite_simulator.faults import Kind
from alphapanda.kite_simulator.sessions import TOKEN_DEAD
from alphapanda.kite_simulator.wire import encoded
from marketdata.domain.kite_frames import HEARTBEAT, Figures, Mode, NotRepresentable, frame, packet
from marketdata.feeds.kite import CONNECTIONS_MAX, TOKENS_MAX

if TYPE_CHECKING:
    from alphapanda.kite_simulator.simulator import Simulator
    from marketdata.domain.ticks import Tick

WEBSOCKET_PATH = "/"  # as Kite, which has a host of its own for it
HEARTBEAT_S = 1.5  # without anything else to send
LOOK_S = 0.25  # how often a connection looks whether it is to beat, fall silent or end
TOO_MANY_TOKENS = f"Cannot subscribe to more than {TOKENS_MAX} instruments in one connection."
BAD_MESSAGE = "Invalid message; an action (`subscribe`, `unsubscribe` or `mode`) and its values are expected."
BAD_TOKENS = "Invalid instrument tokens; a list of numbers is expected."
BAD_MODE = "Invalid mode; `ltp`, `quote` or `full`, and a list of instrument tokens are expected."
ON = ("websocket",)  # the call that faults of a connection hit
ENDED = 1008  # the close code of a connection whose session is over


class Refused(ValueError):
    """What a client asked for makes no sense; the message is sent to it."""


class Ticker:
    """All websocket connections of the simulated broker."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.connections: set[TickerConnection] = set()

    def say(self, words: str) -> None:
        """Tell every connection something for people, as Kite does in text frames of the type `message`."""
        for connection in self.connections:
            connection.said.put_nowait(words)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection from handshake to end. Raises KiteError where the handshake is refused."""
        access = request.query.get("api_key", ""), request.query.get("access_token", "")
        is_faulty = self.simulator.faults.takes(Kind.HANDSHAKE_403, on=ON)
        if is_faulty or not self.simulator.sessions.is_alive(*access):
            raise KiteError(TOKEN, TOKEN_DEAD)
        if len(self.connections) >= CONNECTIONS_MAX:
            raise web.HTTPTooManyRequests(text=f"{CONNECTIONS_MAX} connections are open")
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        connection = TickerConnection(self.simulator, request, socket, access)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)
        return socket


class TickerConnection:
    """One websocket: what it has subscribed to, and what it is told."""

    def __init__(
        self,
        simulator: Simulator,
        request: web.Request,
        socket: web.WebSocketResponse,
        access: tuple[str, str],
    ) -> None:
        self.modes: dict[int, Mode] = {}
        self.said: asyncio.Queue[str] = asyncio.Queue()  # for people
        self._simulator = simulator
        self._market = simulator.market
        self._request = request
        self._socket = socket
        self._access = access
        self._muted_until = self._sent_at = _now()
        self._is_cut = asyncio.Event()

    async def serve(self) -> None:
        """Until either side ends it."""
        told = (self._tell_ticks(), self._tell_updates(), self._tell_messages())
        acts = (self._read(), *told, self._beat(), self._is_cut.wait())
        tasks = [asyncio.ensure_future(act) for act in acts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._is_cut.is_set() and self._request.transport is not None:
            self._request.transport.abort()
        for task in done:
            error = task.exception()
            if error and not isinstance(error, ConnectionError):
                raise error

    # ---- what the client says ----

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                await self._obey(message.data)
            except Refused as error:
                await self._error(str(error))

    async def _obey(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            raise Refused(BAD_MESSAGE) from None
        action, value = (message.get("a"), message.get("v")) if isinstance(message, dict) else (None, None)
        if action == "subscribe":
            await self._subscribe(_tokens(value))
        elif action == "unsubscribe":
            for token in _tokens(value):
                self.modes.pop(token, None)
        elif action == "mode":
            mode, tokens = _mode(value)
            self.modes.update({token: mode for token in tokens if token in self.modes})
        else:
            raise Refused(BAD_MESSAGE)

    async def _subscribe(self, tokens: list[int]) -> None:
        """As many as there is room for; of each the last tick is sent, however old it is."""
        room = TOKENS_MAX - len(self.modes)
        new = [token for token in dict.fromkeys(tokens) if token not in self.modes]
        self.modes.update(dict.fromkeys(new[:room], Mode.QUOTE))
        known = [tick for token in tokens if token in self.modes and (tick := self._market.last(token))]
        await self._ticks(known)
        if len(new) > room:
            raise Refused(TOO_MANY_TOKENS)

    # ---- what it is told ----

    async def _tell_ticks(self) -> None:
        async for batch in self._market.ticks():
            await self._ticks([tick for tick in batch if tick.token in self.modes])

    async def _ticks(self, ticks: Iterable[Tick]) -> None:
        packets = [one for tick in ticks if (one := self._packet(tick))]
        if packets:
            await self._send(frame(packets))

    def _packet(self, tick: Tick) -> bytes:
        """Empty for a tick that Kite could not tell of."""
        day = self._market.days.get(tick.token)
        prices = (day.open_e4, day.high_e4, day.low_e4, day.close_e4) if day else ()
        figures = Figures(*prices, day.oi_high, day.oi_low) if day else Figures()
        try:
            return packet(tick, self.modes[tick.token], figures)
        except NotRepresentable:
            return b""

    async def _tell_updates(self) -> None:
        queue = self._simulator.updates.subscribe(self._simulator.account.user_id)
        try:
            while True:
                await self._text("order", await queue.get())
        finally:
            self._simulator.updates.unsubscribe(queue)

    async def _tell_messages(self) -> None:
        while True:
            await self._text("message", await self.said.get())

    async def _beat(self) -> None:
        """Heartbeats, until the session is over; and what is to go wrong here goes wrong."""
        faults = self._simulator.faults
        while self._simulator.sessions.is_alive(*self._access):
            if faults.takes(Kind.CUT, on=ON):
                self._is_cut.set()
            if mute := faults.takes(Kind.MUTE, on=ON):
                self._muted_until = _now() + mute.ms / 1_000
            if _now() - self._sent_at >= HEARTBEAT_S:
                await self._send(HEARTBEAT)
            await asyncio.sleep(LOOK_S)
        await self._socket.close(code=ENDED)

    async def _error(self, words: str) -> None:
        await self._text("error", words)

    async def _text(self, kind: str, data: str | Mapping[str, Any]) -> None:
        if _now() >= self._muted_until:
            await self._socket.send_str(encoded({"type": kind, "data": data}).decode())
            self._sent_at = _now()

    async def _send(self, raw: bytes) -> None:
        if _now() >= self._muted_until:
            await self._socket.send_bytes(raw)
            self._sent_at = _now()


def _tokens(value: object) -> list[int]:
    if not isinstance(value, list) or any(type(token) is not int for token in value):
        raise Refused(BAD_TOKENS)
    return value


def _mode(value: object) -> tuple[Mode, list[int]]:
    if not isinstance(value, list) or len(value) != 2 or value[0] not in list(Mode):
        raise Refused(BAD_MODE)
    return Mode(value[0]), _tokens(value[1])


def _now() -> float:
    return asyncio.get_running_loop().time()
