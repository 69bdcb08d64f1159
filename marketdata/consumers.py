"""The Channels consumer through which ticks come in; its host is `manage.py stream_ticks`.

Ticks never touch the channel layer: the host hands over what it polled and calls the handlers in its own thread."""

from __future__ import annotations

from typing import Any

from channels.consumer import SyncConsumer

from marketdata.stream import StreamCore


class TickStream(SyncConsumer):
    """One instance a process. Handlers are named after the message types `ticks.polled` and `time.passed`."""

    def __init__(self, core: StreamCore) -> None:
        super().__init__()
        self.core = core

    def ticks_polled(self, message: dict[str, Any]) -> None:
        self.core.take(message["records"])

    def time_passed(self, _message: dict[str, Any]) -> None:
        self.core.housekeeping()

    def handle(self, message: dict[str, Any]) -> None:
        """Dispatch a message in this thread, without an event loop."""
        getattr(self, message["type"].replace(".", "_"))(message)
