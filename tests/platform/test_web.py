"""The web process itself: what Daphne lets through."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from alphapanda.processes import SOCKET_BYTES_MAX

ROOT = Path(__file__).resolve().parents[2]
ROWS = 2_000
# A page with many rows, served by the process as it is, without what stands behind it.
SERVED = f"""
import django
django.setup()
from alphapanda import asgi, processes

async def application(scope, receive, send):
    await receive()
    await send({{"type": "websocket.accept"}})
    await send({{"type": "websocket.send", "text": "x" * {ROWS * 1024}}})
    await receive()

asgi.application = application
processes.web()
"""
HANDSHAKE = (
    "GET /ws/live/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def opened(port: int, *, within_s: float = 60.0) -> socket.socket:
    until = time.monotonic() + within_s
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "the web process does not listen"
            time.sleep(0.1)


def test_a_page_of_many_rows_goes_through_the_socket(tmp_path: Path) -> None:
    port = free_port()
    environment = os.environ | {
        "ALPHAPANDA_PORT": str(port),
        "ALPHAPANDA_RUN_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "alphapanda.settings",
    }
    web = subprocess.Popen([sys.executable, "-c", SERVED], cwd=ROOT, env=environment)
    try:
        with opened(port) as client:
            client.sendall(HANDSHAKE.encode())
            received = 0
            while received < ROWS * 1024:
                part = client.recv(1 << 16)
                assert part, f"closed after {received} bytes"
                received += len(part)
    finally:
        web.kill()
        web.wait()

    assert ROWS * 1024 < SOCKET_BYTES_MAX
