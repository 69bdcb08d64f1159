"""The processes of the platform: what each role runs, and in which order they end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.management import call_command, get_commands

from alphapanda.eventlog.doorbell import shard_queue

RESEARCH_NICE = 10  # backtests wait for trading, never the other way round
RELAY_NICE = 5  # telling of what is done waits for doing it
# It bounds what is sent too: the first message of a page has every row on it, about 1 KiB each. A client may say
# so much in frames of 64 KiB before its socket is closed.
SOCKET_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Role:
    """One process: `run` blocks until SIGTERM; roles of a lower `stops` end before those of a higher."""

    name: str
    run: Callable[[], None]
    stops: int
    command: str = ""  # the management command that it needs, if any

    @property
    def is_available(self) -> bool:
        return not self.command or self.command in get_commands()


def table() -> list[Role]:
    """Every role, in the order in which they start."""
    return [
        Role("web", web, stops=5),
        Role("relay", _command("relay", nice=RELAY_NICE), stops=4, command="relay"),
        *(
            Role(f"trading.{n}", _worker("trading", f"trading.{n}"), stops=3)
            for n in range(settings.TRADING_WORKERS)
        ),
        *(
            Role(shard_queue(n), _worker(shard_queue(n), shard_queue(n)), stops=3)
            for n in range(settings.SHARDS)
        ),
        *(
            [Role("broker", _command("broker"), stops=3, command="broker")]
            if settings.ZERODHA_ENABLED
            else []
        ),
        Role("research", _worker("research", "research", nice=RESEARCH_NICE), stops=3),
        Role("alerts", _worker("alerts", "alerts", nice=RELAY_NICE), stops=3),
        Role("stream", _command("stream_ticks"), stops=2, command="stream_ticks"),
        Role("beat", beat, stops=2),
        Role("feed", _command("feed"), stops=1, command="feed"),
    ]


def web() -> None:
    """Daphne; its import makes a Twisted reactor, which must never happen before the fork."""
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server

    from alphapanda.asgi import application

    Server(
        application=application,
        endpoints=build_endpoint_description_strings(host=settings.HOST, port=settings.PORT),
        websocket_max_frame_size=64 * 1024,
        websocket_max_message_size=SOCKET_BYTES_MAX,
        proxy_forwarded_address_header=None if settings.EMBEDDED else "X-Forwarded-For",
        server_name="",
        verbosity=0,
    ).run()


def beat() -> None:
    """The timetable, kept in memory: every entry is idempotent, so nothing is lost with it."""
    from celery.apps.beat import Beat

    from alphapanda import lease
    from alphapanda.celery import app

    lease.start()
    Beat(app=app, scheduler=settings.CELERY_BEAT_SCHEDULER, quiet=True).run()


def _command(name: str, *, nice: int = 0) -> Callable[[], None]:
    def run() -> None:
        os.nice(nice)
        call_command(name)

    return run


def _worker(queue: str, name: str, *, nice: int = 0) -> Callable[[], None]:
    def run() -> None:
        os.nice(nice)
        from alphapanda import watchdog
        from alphapanda.celery import app

        watchdog.start(queue)
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # the preflight has made them; a restart must be quick
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
        app.worker_main(
            ["--quiet", "worker", "--pool=solo", f"--queues={queue}", f"--hostname={name}@%h", *quiet]
        )

    return run
