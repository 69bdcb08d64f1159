"""A service of messages on loopback: it hears what is sent to it, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "CanaryToken9x2c4v6b8n0m"


@dataclass
class Service:
    """`heard`: the messages in the order in which they came. `status`: what the next are answered with."""

    port: int = 0
    status: int = 200
    heard: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"json://operator:CanaryPassword7k2@127.0.0.1:{self.port}/hooks/{TOKEN}/"

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.heard]


@contextmanager
def service() -> Iterator[Service]:
    """One that listens until the end of the block."""
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.heard.append(said | {"path": self.path})
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()
