"""`manage.py seed`: an operator, strategies, portfolios, deployments and limits; what is there stays as it is."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.text import Text

from accounts import services as accounts
from alphapanda import deploying
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Broker
from alphapanda.engine.recorded import Recording
from alphapanda.warming import from_stream
from alphapanda.web.console import screen
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.feeds.files import UnknownFormat
from marketdata.feeds.recorded import UnknownInstrument

PAPER_CASH = Decimal(1_000_000)


class Command(BaseCommand):
    help = "Seed an operator, strategies, portfolios, deployments and risk limits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deployments", default=settings.DEPLOYMENTS, help="file of definitions")
        parser.add_argument(
            "--warm-up",
            nargs="*",
            default=[],
            metavar="FILE",
            help="recorded files that end before the log begins: new deployments have seen their bars",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            file = Path(options["deployments"]) if options["deployments"] else deploying.SEEDS
            seeded = _seed(file, warm_up=options["warm_up"])
        except (Refusal, UnknownInstrument, UnknownFormat, NotAnInstrumentList, OSError) as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(seeded))
            return
        console = screen(self.stdout)
        names = ", ".join(seeded["deployments"])
        console.print(Text.assemble(("  ✓", "green"), " deployments  ", (names, "dim")))
        if seeded["differing"]:
            changed = (
                f" {', '.join(seeded['differing'])}: there already and otherwise defined; nothing was changed"
            )
            console.print(Text.assemble(("  !", "yellow"), changed))
        if seeded["password"]:
            console.print(_login(seeded["operator"], seeded["password"]))


def _login(name: str, password: str) -> Text:
    return Text.assemble(
        "\n  log in as ", (name, "bold"), ", password ", (password, "bold"), ("  (shown this once)", "dim")
    )


def _seed(definitions: Path, *, warm_up: list[str]) -> dict[str, Any]:
    past = Recording([], [], settings.INSTRUMENTS, warm_up=warm_up).past
    history = from_stream(past) if past else None
    found = deploying.read(definitions)
    deploying.portfolio_of(Broker.ZERODHA, starting_cash=Decimal(0))
    portfolio_id = deploying.portfolio_of(Broker.PAPER, starting_cash=PAPER_CASH)
    deployments = deploying.deploy(found, portfolio_id=portfolio_id, history=history)
    return {
        "deployments": [deployment.name for deployment in deployments],
        "differing": deploying.differing(found),
        "operator": "operator",
        "password": _password(),
    }


def _password() -> str:
    try:
        return accounts.operator_create("operator")
    except accounts.OperatorExists:
        return ""
