"""Many people looking at once, some of whom do not read what they are sent: how old is what they see, and what does it
cost the process that serves them?"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import numpy as np
import psutil
import requests
from django.conf import settings
from django.contrib.auth.models import Group

from accounts.models import User
from alphapanda.dashboard.views import KINDS
from alphapanda.stack import Stack, StackFailed
from alphapanda.web.roles import Role

LOOK_S = 0.1  # a reader looks at the age of what it has
ACKNOWLEDGE_EACH = 4  # as the pages do
CONNECT_S = 60
DIAL_AGAIN_S = 5.0  # a mute client comes back when it has been cut off
RECEIVED = re.compile(r"data-received=\\\"(\d+)\\\"")
FLUSH = re.compile(r'"flush": (\d+)')


class Watched(msgspec.Struct, frozen=True):
    """Ages in milliseconds from a tick's arrival to each look of a reader, in percentiles; by how much the web process
    grew; and what share of a core it used."""

    readers: int
    mute: int
    looks: int
    messages: int
    age_p50_ms: float
    age_p99_ms: float
    lost: int  # readers that were cut off
    grew_mb: float
    cpu_percent: float


class Crowd:
    """Clients of the overview's socket, in a thread of their own, from `start` to `stop`."""

    def __init__(self, stack: Stack, port: int, *, readers: int, mute: int) -> None:
        self._stack, self._root = stack, f"127.0.0.1:{port}"
        self._readers, self._mute = readers, mute
        self._path = f"/ws/live/?broker=paper&kinds={'+'.join(KINDS)}"
        cookie = f"{settings.SESSION_COOKIE_NAME}={_session(self._root)}"
        self._headers = {"Cookie": cookie, "Origin": f"http://{self._root}"}
        self._is_over = threading.Event()
        self._connected = self._lost = self._messages = 0
        self._ages: list[int] = []
        self._is_measured = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), name="crowd", daemon=True)

    def start(self) -> None:
        """Returns when all are connected. Raises StackFailed."""
        self._web = psutil.Process(self._stack.pids()["web"])
        self._before = self._web.memory_full_info().uss
        self._thread.start()
        deadline = time.monotonic() + CONNECT_S
        while self._connected < self._readers + self._mute:
            if time.monotonic() > deadline:
                raise StackFailed(
                    f"{self._connected} of {self._readers + self._mute} sockets after {CONNECT_S} s"
                )
            time.sleep(0.1)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Within, ages count."""
        used, since = _cpu_s(self._web), time.monotonic()
        self._is_measured = True
        yield
        self._is_measured = False
        self._cpu_percent = 100 * (_cpu_s(self._web) - used) / (time.monotonic() - since)
        self._grew = self._web.memory_full_info().uss - self._before

    def stop(self) -> Watched:
        """What was seen while it was measured."""
        self._is_over.set()
        self._thread.join()
        p50, p99 = np.percentile(self._ages, [50, 99]) if self._ages else (float("nan"), float("nan"))
        return Watched(
            readers=self._readers,
            mute=self._mute,
            looks=len(self._ages),
            messages=self._messages,
            age_p50_ms=round(float(p50), 1),
            age_p99_ms=round(float(p99), 1),
            lost=self._lost,
            grew_mb=round(self._grew / 1e6, 1),
            cpu_percent=round(self._cpu_percent, 1),
        )

    async def _all(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=self._headers, connector=connector) as client:
            everybody = [self._read(client) for _ in range(self._readers)]
            everybody += [self._stay_mute() for _ in range(self._mute)]
            await asyncio.gather(*everybody)

    async def _read(self, client: aiohttp.ClientSession) -> None:
        newest = [0]
        async with client.ws_connect(f"ws://{self._root}{self._path}", max_msg_size=0) as socket:
            self._connected += 1
            looking = asyncio.create_task(self._look(newest))
            while not self._is_over.is_set():
                with suppress(TimeoutError):
                    message = await socket.receive(timeout=1.0)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        self._lost += 1
                        break
                    await self._take(socket, message.data, newest)
            looking.cancel()

    async def _take(self, socket: Any, text: str, newest: list[int]) -> None:
        self._messages += self._is_measured
        found = FLUSH.findall(text[-200:])
        if found and (int(found[-1]) % ACKNOWLEDGE_EACH == 0 or '"type": "delta"' not in text[:40]):
            await socket.send_str(f'{{"type":"ping","flush":{found[-1]}}}')
        if received := RECEIVED.search(text):
            newest[0] = int(received[1])

    async def _look(self, newest: list[int]) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if self._is_measured and newest[0]:
                self._ages.append(round(time.time() * 1000) - newest[0])

    async def _stay_mute(self) -> None:
        """Connects, lets the system's buffers fill up, and never answers; cut off, it comes back."""
        is_first = True
        while not self._is_over.is_set():
            reader, writer = await asyncio.open_connection(*self._root.split(":"), limit=1024)
            writer.write(self._handshake())
            if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101"):
                raise StackFailed("a socket was refused")
            self._connected += is_first
            is_first = False
            await asyncio.sleep(DIAL_AGAIN_S)
            writer.transport.abort()

    def _handshake(self) -> bytes:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = [f"GET {self._path} HTTP/1.1", f"Host: {self._root}", f"Sec-WebSocket-Key: {key}"]
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _session(root: str) -> str:
    """The cookie of a viewer who has logged in at the stack."""
    password = secrets.token_urlsafe(16)
    user = User.objects.create_user("crowd", password=password)
    user.groups.add(Group.objects.get_or_create(name=Role.VIEWER)[0])
    with requests.Session() as browser:
        browser.get(f"http://{root}/login/", timeout=CONNECT_S)
        token = browser.cookies[settings.CSRF_COOKIE_NAME]
        form = {"username": "crowd", "password": password, "csrfmiddlewaretoken": token}
        browser.post(f"http://{root}/login/", form, timeout=CONNECT_S)
        return str(browser.cookies[settings.SESSION_COOKIE_NAME])


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
