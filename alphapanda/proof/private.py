"""A stack that belongs to a proof: its own folder, servers and processes, and this process's view of its database."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg.sql import SQL, Identifier

from alphapanda import embedded
from alphapanda.embedded import places
from alphapanda.stack import ROOT, Stack, StackFailed


@contextmanager
def private_stack(
    environment: Mapping[str, str], *, without: Sequence[str] = ("web", "beat")
) -> Iterator[Stack]:
    """Start a stack in a new folder, with our data and own strategies, and point this process at its database and log;
    remove all afterwards."""
    with tempfile.TemporaryDirectory(prefix="alphapanda-", ignore_cleanup_errors=True) as folder:
        run_dir = Path(folder)
        ours = {"ALPHAPANDA_DATA": str(settings.DATA), "ALPHAPANDA_STRATEGIES": str(settings.STRATEGIES)}
        env = {**ours, **environment}
        host, outer_dir = connection.settings_dict["HOST"], settings.RUN_DIR
        try:
            with Stack(run_dir, without=without, env=env) as stack:
                connection.close()
                connection.settings_dict["HOST"] = str(places.postgres_socket_dir(run_dir))
                settings.RUN_DIR = run_dir  # where the address of the embedded log is read
                yield stack
        finally:
            connection.close()
            connection.settings_dict["HOST"], settings.RUN_DIR = host, outer_dir


def command(stack: Stack, *words: str) -> None:
    """A command as the operator gives it beside the stack. Raises StackFailed with what it said."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
    env = {**outer, "ALPHAPANDA_RUN_DIR": str(stack.run_dir), **stack.env}
    asked = [sys.executable, str(ROOT / "manage.py"), *words]
    done = subprocess.run(asked, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackFailed(f"{' '.join(words)}: {done.stdout[-1000:]} {done.stderr[-2000:]}")


@contextmanager
def private_database() -> Iterator[None]:
    """A database in a new folder, with all tables and nothing in them, that this process works with; removed
    afterwards. It is not synced to disk."""
    with tempfile.TemporaryDirectory(prefix="alphapanda-", ignore_cleanup_errors=True) as folder:
        run_dir = Path(folder)
        host, outer_dir = connection.settings_dict["HOST"], settings.RUN_DIR
        try:
            with embedded.start_all(run_dir, ("postgres",), durable=False):
                connection.close()
                connection.settings_dict["HOST"] = str(places.postgres_socket_dir(run_dir))
                settings.RUN_DIR = run_dir
                call_command("migrate", verbosity=0)
                yield
                connection.close()
        finally:
            connection.close()
            connection.settings_dict["HOST"], settings.RUN_DIR = host, outer_dir


@contextmanager
def copied_database() -> Iterator[None]:
    """A copy of the private database, as it is now, that this process works with; dropped afterwards. Nobody else may
    be connected to it."""
    facts, copy = connection.settings_dict, "copy"
    own = facts["NAME"]
    connection.close()
    server = psycopg.connect(host=facts["HOST"], user=facts["USER"], dbname="template1", autocommit=True)
    with closing(server):
        server.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(copy), Identifier(own)))
        try:
            facts["NAME"] = copy
            yield
        finally:
            connection.close()
            facts["NAME"] = own
            server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(copy)))
