"""Run as a program: the official KiteTicker at an address, told on its standard input what to do, a JSON object a
line; it writes what it hears in the same way. Not imported: its Twisted reactor can start once in a process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Official:
    """The official client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.heard.append(json.loads(line))

    def do(self, act: str, *arguments: Any) -> None:
        """Call a method of the client."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([act, *arguments]) + "\n")
        self._process.stdin.flush()

    def told(self, kind: str) -> list[Any]:
        """What it was told of a kind: connect, tick, order, error, close, reconnect."""
        return [one["data"] for one in self.heard if one["kind"] == kind]

    def ticks(self, mode: str) -> list[dict[str, Any]]:
        return [tick for tick in self.told("tick") if tick["mode"] == mode]


@contextmanager
def official(url: str, api_key: str, access_token: str) -> Iterator[Official]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), url, api_key, access_token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Official(process)
    finally:
        process.kill()
        process.wait(10)


def _main(url: str, api_key: str, access_token: str) -> None:
    from kiteconnect import KiteTicker
    from twisted.internet import reactor

    def tell(kind: str) -> Callable[..., None]:
        return lambda _, *data: sys.stdout.write(json.dumps({"kind": kind, "data": data}, default=str) + "\n")

    def ticks(_: object, found: list[dict[str, Any]]) -> None:
        for tick in found:
            sys.stdout.write(json.dumps({"kind": "tick", "data": tick}, default=str) + "\n")
        sys.stdout.flush()

    client = KiteTicker(api_key, access_token, root=url)
    client.on_ticks = ticks
    for kind in ("connect", "close", "error", "reconnect"):
        setattr(client, f"on_{kind}", tell(kind))
    client.on_order_update = tell("order")
    client.connect(threaded=True)
    threading.Thread(target=_flush, daemon=True).start()
    for line in sys.stdin:
        act, *arguments = json.loads(line)
        reactor.callFromThread(getattr(client, act), *arguments)


def _flush() -> None:
    while True:
        sys.stdout.flush()
        time.sleep(0.02)


if __name__ == "__main__":
    _main(*sys.argv[1:])
