"""`manage.py up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alphapanda import embedded, preflight, processes
from alphapanda.env import unusable
from alphapanda.eventlog.bootstrap import ensure_topics
from alphapanda.eventlog.records import LogError
from alphapanda.supervisor import Supervisor, why_not_listen
from alphapanda.web.console import screen

SERVED_BY = {"database": "postgres", "redis": "redis", "log": "kafka"}  # by name of the check
STOPPED = Text.assemble(("  ✓", "green"), " stopped ", ("(the next start goes on where this one was)", "dim"))
CONFIGURED = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "kafka": "KAFKA_BOOTSTRAP"}


class Command(BaseCommand):
    help = "Start, watch and stop every process; embedded servers where no address is configured."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", default="", help="roles to start, separated by commas")
        parser.add_argument("--without", default="", help="roles to leave out")
        parser.add_argument("--run-dir", default="", help="instead of ALPHAPANDA_RUN_DIR")
        parser.add_argument("--verbose", action="store_true", help="logs to the console, not to RUN_DIR/logs")

    def handle(self, *_args: Any, **options: Any) -> None:
        _enter(options["run_dir"])
        self.console = screen()
        roles = self._roles(options["only"], options["without"])
        try:
            _make(settings.RUN_DIR)
            with embedded.lock(settings.RUN_DIR) as lock:
                _check_port(roles)
                self._run(roles, lock=lock, verbose=options["verbose"])
        except (embedded.RunDirTaken, embedded.DidNotStart) as error:
            raise CommandError(str(error)) from None

    def _roles(self, only: str, without: str) -> list[processes.Role]:
        roles = choose(processes.table(), only=_names(only), without=_names(without))
        for role in [role for role in roles if not role.is_available]:
            self._warn(f"{role.name} is left out: there is no command {role.command}")
        has_feed = settings.FEED != "none"
        return [role for role in roles if role.is_available and (has_feed or role.name != "feed")]

    def _run(self, roles: list[processes.Role], *, lock: int, verbose: bool) -> None:
        servers = [name for name in embedded.ALL if not settings.ADDRESSES[name]]
        for name in servers:
            why = f"(ALPHAPANDA_{CONFIGURED[name]} is empty)"
            self.console.print(Text.assemble(f"  embedded {name} ", (why, "dim")))
        live = Live(
            console=self.console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        is_shown = self.console.is_terminal and not verbose
        address = _address({role.name for role in roles})
        supervisor = Supervisor(
            run_dir=settings.RUN_DIR,
            roles=roles,
            servers=servers,
            verbose=verbose,
            notice=self._warn,
            changed=lambda rows: (
                live.update(Group(_status(rows), address), refresh=True)
                if is_shown and live.is_started
                else None
            ),
            renew=ensure_topics,
            lock=lock,
        )
        try:
            supervisor.start_servers()
            preload()
            self._prepare(supervisor)
            if supervisor.stopping:
                return
            if is_shown:
                self.console.print()
                live.start()
            else:
                self.console.print(address)
            supervisor.serve()
        finally:
            with suppress(OSError):  # a console on a full disk: what runs ends in order all the same
                live.stop()
                if supervisor.stopping:
                    self.console.print(
                        Text.assemble("  stopping, in order ", ("(Ctrl-C again kills)", "dim"))
                    )
            supervisor.stop()
            with suppress(OSError):
                if supervisor.stopping:
                    self.console.print(STOPPED)

    def _prepare(self, supervisor: Supervisor) -> None:
        """Migrate, bootstrap, seed and check, in a fork: the parent must hold no connection."""
        try:
            code = supervisor.once(self._ready_the_house)
        except OSError as error:
            raise CommandError(f"not started: no process can be made here: {error.strerror}") from None
        if code != 0 and not supervisor.stopping:
            raise CommandError("not started: see above")

    def _ready_the_house(self) -> None:
        """The servers are looked at first: what is done in one that is away ends in a traceback."""
        self._refuse(preflight.servers())
        try:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("bootstrap")
            call_command("seed")
        except (CommandError, LogError) as error:
            self._fault(str(error))
            sys.exit(1)
        self._refuse(preflight.run(port=False))

    def _refuse(self, findings: list[preflight.Finding]) -> None:
        """End this process, naming all that is missing, if anything is."""
        bad = [finding for finding in findings if not finding.is_good]
        for finding in bad:
            address = CONFIGURED.get(SERVED_BY.get(finding.name, ""), "")
            named = f" (ALPHAPANDA_{address})" if address else ""
            self._fault(f"{finding.name}{named}: {finding.detail}")
        if bad:
            sys.exit(1)

    def _fault(self, text: str) -> None:
        self.console.print(Text.assemble(("  ✗", "red"), f" {text}"))

    def _warn(self, text: str) -> None:
        self.console.print(Text.assemble(("  !", "yellow"), f" {text}"))


def _check_port(roles: list[processes.Role]) -> None:
    """Once RUN_DIR is ours: of a platform that is up already the folder is told, not the port."""
    if any(role.name == "web" for role in roles) and (why := why_not_listen(settings.HOST, settings.PORT)):
        raise CommandError(why)


def choose(roles: list[processes.Role], *, only: set[str], without: set[str]) -> list[processes.Role]:
    """The roles named, by full name or by the part before the dot; raises CommandError for a name of none."""
    known = {name for role in roles for name in (role.name, role.name.partition(".")[0])}
    if strange := (only | without) - known:
        raise CommandError(f"no role {', '.join(sorted(strange))}; one of {', '.join(sorted(known))}")
    return [role for role in roles if (not only or _named(role, only)) and not _named(role, without)]


def _named(role: processes.Role, names: set[str]) -> bool:
    return bool({role.name, role.name.partition(".")[0]} & names)


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _enter(run_dir: str) -> None:
    """Settings are read by now; another RUN_DIR means starting over with it in the environment."""
    if run_dir and Path(run_dir).resolve() != settings.RUN_DIR:
        os.environ["ALPHAPANDA_RUN_DIR"] = str(Path(run_dir).resolve())
        os.execv(sys.executable, [sys.executable, *sys.argv])


def _make(run_dir: Path) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "up.lock").touch()
    except OSError as error:
        raise CommandError(unusable(run_dir, error)) from None


def preload() -> None:
    """Import what every child needs, once, so that a fork starts in milliseconds and shares the memory."""
    from alphapanda.celery import app

    app.loader.import_default_modules()
    for name in ("celery.apps.worker", "celery.apps.beat", "celery.bin.worker", "alphapanda.asgi"):
        import_module(name)
    import_module(settings.ROOT_URLCONF)


def _address(roles: set[str]) -> Text:
    where = f"http://{settings.HOST}:{settings.PORT}/  " if "web" in roles else ""
    return Text.assemble("\n  ", (where, "bold"), ("Ctrl-C stops all", "dim"), "\n")


def _status(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        mark = Text("  ●", style="green") if row["pid"] else Text("  ○", style="red")
        restarts = Text(f"{row['restarts']} restarts" if row["restarts"] else "", style="yellow")
        table.add_row(mark, str(row["role"]), Text(str(row["pid"] or "down"), style="dim"), restarts)
    return table
