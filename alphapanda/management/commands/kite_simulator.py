"""`manage.py kite_simulator`: a broker to rehearse with, speaking Kite Connect v3 on this machine only."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from django.conf import settings
from django.core.management import BaseCommand, CommandError

from alphapanda.core.clock import DAY_MS, IST, ist_date, ist_text, to_ms
from alphapanda.env import PREFIX
from alphapanda.eventlog.client import LogReader
from alphapanda.kite_simulator.app import runner_of
from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.clock import SimClock, wall_ms
from alphapanda.kite_simulator.faults import Fault, faults_from
from alphapanda.kite_simulator.following import Follower, follow_log
from alphapanda.kite_simulator.limits import Rates
from alphapanda.kite_simulator.listing import Listing, load_listing
from alphapanda.kite_simulator.market import opening_ms, recorded_batches
from alphapanda.kite_simulator.positions import demat_of
from alphapanda.kite_simulator.script import EXAMPLE, BadScript, enter, follow, read_script, step_from
from alphapanda.kite_simulator.sessions import Account
from alphapanda.kite_simulator.simulator import MATCHING, Simulator, SimulatorSettings
from alphapanda.kite_simulator.walk import Batch, Walk
from alphapanda.web.console import json_object, screen
from execution.domain.settings import settings_of
from marketdata.domain.dated import BadRules
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.domain.ticks import Item
from marketdata.feeds.bar_files import NotInOrder
from marketdata.feeds.files import UnknownFormat, recorded_file
from marketdata.feeds.recorded import RecordedSource, UnknownInstrument
from marketdata.reference import load_calendars

HOST = "127.0.0.1"
AS_THE_WALL_MS = 5_000  # older ticks the feed of a wall's clock leaves out
BAD_FILES = (UnknownFormat, UnknownInstrument, NotInOrder, NotAnInstrumentList, BadRules, BadScript, OSError)


class Command(BaseCommand):
    help = (
        "Serve a simulated Zerodha: Kite Connect v3 over HTTP and websocket, on this machine only, in memory only. "
        "Its market is a recorded session or a walk by dice; orders are matched as the paper exchange matches."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        account = Account()
        parser.add_argument("--port", type=int, default=8765, help="of 127.0.0.1; 0: any free one")
        market = parser.add_mutually_exclusive_group()
        market.add_argument(
            "--recorded", nargs="+", metavar="FILE[=EXCHANGE:SYMBOL]", help="play recorded files"
        )
        market.add_argument(
            "--log", action="store_true", help="what the running platform's own log tells, in its time"
        )
        market.add_argument("--walk", type=int, metavar="SEED", help="prices by dice (default: 1)")
        parser.add_argument(
            "--symbols", nargs="+", metavar="EXCHANGE:SYMBOL", help="of the walk; default: the shipped stocks"
        )
        parser.add_argument("--instruments", nargs="+", type=Path, default=[], metavar="FILE")
        parser.add_argument("--rules", nargs="+", type=Path, default=[], metavar="FILE", help="rules by date")
        parser.add_argument(
            "--at", type=_moment, metavar="TIME", help='its clock at the start, IST: "2026-11-30 09:15"'
        )
        parser.add_argument(
            "--day", type=_day, metavar="YYYY-MM-DD", help="play the recording as of this day"
        )
        parser.add_argument("--speed", type=_speed, default=1.0, help="of its clock; 0: it is moved by hand")
        parser.add_argument("--cash", type=_rupees, default=Decimal(1_000_000), help="rupees")
        parser.add_argument(
            "--holdings", nargs="+", default=[], metavar="EXCHANGE:SYMBOL=QUANTITY@PRICE", help="shares held"
        )
        parser.add_argument("--unauthorised", action="store_true", help="holdings need authorisation first")
        parser.add_argument(
            "--matching",
            default="{}",
            metavar="JSON",
            help="settings of paper execution: docs/paper-exchange.md",
        )
        parser.add_argument(
            "--habits",
            default="{}",
            metavar="JSON",
            help="what Kite's documents leave open: docs/kite-simulator.md",
        )
        parser.add_argument("--rates", default="{}", metavar="JSON", help="other rate limits than Kite's")
        parser.add_argument(
            "--fault",
            nargs="+",
            default=[],
            metavar="KIND[,NAME=VALUE]",
            help="such as 504,times=3,share=0.5",
        )
        parser.add_argument(
            "--step", nargs="+", default=[], metavar="JSON", help=f"steps of a script, such as '{EXAMPLE}'"
        )
        parser.add_argument("--script", type=Path, metavar="FILE", help="JSON: steps of faults and acts")
        parser.add_argument("--seed", type=int, default=0, help="of faults")
        parser.add_argument("--user", default=account.user_id)
        parser.add_argument("--api-key", default=account.api_key)
        parser.add_argument("--api-secret", default=account.api_secret)
        parser.add_argument("--redirect-url", default="", help="where the login page goes back to")
        parser.add_argument("--postback-url", default="", help="where order updates are sent to")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not 0 <= options["port"] <= 65_535:
            raise CommandError(f"--port: {options['port']} is not from 0 to 65535")
        try:
            follower = self._follower() if options["log"] else None
            simulator = built(options, follower.first() if follower else ())
            if options["script"]:
                follow(simulator, read_script(options["script"]))
        except BAD_FILES as error:
            raise CommandError(str(error)) from error
        try:
            asyncio.run(self._serve(simulator, options["port"], follower))
        except asyncio.CancelledError:
            self.stderr.write("stopped")
        except OSError as error:
            raise CommandError(f"cannot listen on {HOST}:{options['port']}: {error.strerror}") from error

    def _follower(self) -> Follower:
        """Raises LogUnavailable."""
        follower = Follower(LogReader("kite_simulator"), partitions=settings.TICK_PARTITIONS)
        self.stderr.write("waiting for the log to tell of the market")
        return follower

    async def _serve(self, simulator: Simulator, port: int, follower: Follower | None) -> None:
        _end_on_signals()
        runner = runner_of(simulator)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            screen(self.stdout).print(
                _words(simulator, runner.addresses[0][1], feed_clock=not follower), soft_wrap=True
            )
            await (follow_log(follower, simulator.hear) if follower else asyncio.Event().wait())
        finally:
            await runner.cleanup()


def _end_on_signals() -> None:
    """Have Ctrl-C and SIGTERM end the task that calls this, also where whoever started us had signals ignored, as a
    shell does for what it runs in the background."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "called by a task"
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A market, and its clock at the start."""

    tokens: list[int]
    batches: Iterator[Batch]
    starts_ms: int
    past: Walk | None = None


def built(options: dict[str, Any], told: Sequence[Item] = ()) -> Simulator:
    """The simulator that options describe; `told`: the first items of the log that it is to follow.
    Raises CommandError, and what reading files raises."""
    listing = load_listing(options["instruments"], options["rules"])
    chosen = _chosen(listing, options, told)
    account = Account(
        user_id=options["user"],
        api_key=options["api_key"],
        api_secret=options["api_secret"],
        redirect_url=options["redirect_url"],
        postback_url=options["postback_url"],
    )
    simulator = Simulator(
        listing=listing,
        tokens=chosen.tokens,
        batches=chosen.batches,
        clock=SimClock(starts_ms=chosen.starts_ms, speed=0 if told else options["speed"]),
        account=account,
        settings=_settings(listing, options),
        past=chosen.past,
    )
    simulator.faults.arm(_fault(text) for text in options["fault"])
    simulator.hear(told)
    enter(simulator, [step_from(text) for text in options["step"]])
    return simulator


def _chosen(listing: Listing, options: dict[str, Any], told: Sequence[Item]) -> _Chosen:
    if told:
        return _Chosen(list(listing.by_token), iter(()), told[0].at_ms)
    return _recording(listing, options) if options["recorded"] else _walk(listing, options)


def _settings(listing: Listing, options: dict[str, Any]) -> SimulatorSettings:
    matching = json_object("--matching", options["matching"])
    try:
        settings_of({**MATCHING, **matching})
        habits = msgspec.convert(json_object("--habits", options["habits"]), Habits)
        rates = msgspec.convert(json_object("--rates", options["rates"]), Rates)
        demat = demat_of(options["holdings"], listing, is_authorised=not options["unauthorised"])
    except (ValueError, msgspec.ValidationError) as error:
        raise CommandError(str(error)) from None
    return SimulatorSettings(
        cash=options["cash"],
        demat=demat,
        matching=matching,
        habits=habits,
        rates=rates,
        seed=options["seed"],
    )


def _fault(text: str) -> Fault:
    """`KIND,NAME=VALUE,...`; `on` takes names with + between them, `ms` a span such as 8000-90000."""
    kind, *parts = text.split(",")
    told: dict[str, Any] = {"kind": kind}
    try:
        for part in parts:
            name, _, value = part.partition("=")
            told[name] = _fault_value(name, value)
        (fault,) = faults_from(told)
    except ValueError as error:
        raise CommandError(f"--fault {text}: {error}") from None
    return fault


def _fault_value(name: str, text: str) -> Any:
    if name == "on":
        return text.split("+")
    if name == "ms":
        low, _, high = text.partition("-")
        return [int(low), int(high or low)]
    if name == "share":
        return float(text)
    return int(text) if name == "times" else text


def _recording(listing: Listing, options: dict[str, Any]) -> _Chosen:
    files = [recorded_file(text) for text in options["recorded"]]
    source = RecordedSource(files, instruments=listing.by_key, calendar=load_calendars())
    if not len(source):
        raise CommandError("--recorded: the files hold no tick that can be read")
    tokens = [listing.by_key[file.key].token for file in files]
    first_ms, _ = next(recorded_batches(source))
    days = (options["day"] - ist_date(first_ms)).days if options["day"] else 0
    starts_ms = options["at"] or first_ms + days * DAY_MS
    return _Chosen(tokens, recorded_batches(source, days=days), starts_ms)


def _walk(listing: Listing, options: dict[str, Any]) -> _Chosen:
    keys = options["symbols"] or [spec.key for spec in listing.by_key.values() if not spec.is_index]
    if unknown := [key for key in keys if key not in listing.by_key]:
        raise CommandError(f"--symbols: {unknown[0]} is in no list; name its list with --instruments")
    tokens = [listing.by_key[key].token for key in keys]
    walk = Walk(listing, tokens, seed=1 if options["walk"] is None else options["walk"])
    starts_ms = options["at"] or opening_ms(listing, tokens, wall_ms())
    return _Chosen(tokens, walk.batches(starts_ms), starts_ms, past=walk)


def _feed_clock(clock: SimClock) -> str:
    """The setting without which a feed from here tells of a time that is not that of its ticks."""
    if clock.speed == 1 and abs(clock.now_ms() - wall_ms()) <= AS_THE_WALL_MS:
        return ""
    return f"\n    {PREFIX}FEED_CLOCK=ticks    (its clock is not the wall's)"


def _words(simulator: Simulator, port: int, *, feed_clock: bool) -> str:
    """What an operator must know to use it."""
    account, api = simulator.account, f"http://{HOST}:{port}"
    ws = f"ws://{HOST}:{port}"
    time = _feed_clock(simulator.clock) if feed_clock else ""
    return f"""Kite simulator on {api}, its clock at {ist_text(simulator.clock.now_ms())}; stop it with Ctrl-C
  user {account.user_id}, api_key {account.api_key}, api_secret {account.api_secret}
  Alpha Panda:
    {PREFIX}KITE_API_URL={api}
    {PREFIX}KITE_LOGIN_URL={api}/connect/login
    {PREFIX}KITE_WS_URL={ws}{time}
  The official client:
    kite = KiteConnect("{account.api_key}", root="{api}")
    log in at {api}/connect/login?v=3&api_key={account.api_key}
    kite.generate_session(REQUEST_TOKEN, "{account.api_secret}")
    KiteTicker("{account.api_key}", kite.access_token, root="{ws}")"""


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write YYYY-MM-DD HH:MM") from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day; write YYYY-MM-DD") from None


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= 10_000:
        raise ArgumentTypeError("a speed is from 0 to 10000")
    return speed


def _rupees(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{text!r} is no amount in rupees") from None
    if not amount.is_finite() or not 0 <= amount <= 10**12:
        raise ArgumentTypeError("rupees from 0 to 1000000000000")
    return amount
