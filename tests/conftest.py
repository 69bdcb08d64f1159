"""One private database, Redis and log for a test session, running before Django reads its settings.

pyproject.toml names no DJANGO_SETTINGS_MODULE on purpose: pytest-django would then read the settings before
this file. Under xdist the workers share the servers; each has its own test database, Redis number and topic
prefix.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase

from alphapanda import embedded, env
from alphapanda.embedded import places

ROOT = Path(__file__).resolve().parent.parent
SETTINGS_MODULE = "alphapanda.settings"
servers = ExitStack()

# Machines are shared: how long an example takes decides nothing. What failed is printed so that it can be repeated.
hypothesis.settings.register_profile(
    "ours", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ours")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers (xdist's workers join their controller's) and let Django see them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        _join(number=int(worker.removeprefix("gw")) + 1)
    elif not config.option.collectonly and not config.option.help:
        _start()
    if not worker and getattr(config.option, "numprocesses", None):
        return  # the workers inherit our environment, and must not read the settings before they join
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS_MODULE
    assert settings.EMBEDDED  # read here: pytest-django sets Django up if settings are read by now


def pytest_unconfigure() -> None:
    servers.close()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The roles stand in the database of the tests, as in one that `manage.py bootstrap` has made: who needs a person
    need not make them."""
    from accounts.services import ensure_roles  # needs the app registry

    with django_db_blocker.unblock():
        ensure_roles()


@pytest.fixture(scope="session", autouse=True)
def only_tests_empty_tables() -> Iterator[None]:
    """The tables are emptied after a test that commits; the triggers that keep the facts sleep for that alone, and
    foreign keys with them. Django would truncate every table, written or not, and write its content types and
    permissions again."""

    def empty(self: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role TO replica")
            cursor.execute(_written_tables())
            for (table,) in cursor.fetchall():
                cursor.execute(f"DELETE FROM {table}")
            cursor.execute("SET session_replication_role TO origin")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


@pytest.fixture(scope="session", autouse=True)
def passwords_cost_little() -> Iterator[None]:
    """The algorithm of every day, but not the 100 MB and third of a second that it takes for each person made."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"time_cost": 1, "memory_cost": 8, "parallelism": 1}.items():
            patch.setattr(Argon2PasswordHasher, name, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files_are_found_when_asked_for() -> Iterator[None]:
    """Else each client of a test looks through all of them before its first request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "WHITENOISE_AUTOREFRESH", True)
        yield


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Requests counted by throttles and lock-outs, and the calendars of a test before, must not reach the next."""
    from marketdata import selectors  # needs the app registry

    cache.clear()
    selectors.calendars_forget()


@pytest.fixture
def exchange_hours(db: None) -> None:
    """The shipped calendar in the database, as `manage.py bootstrap` puts it there."""
    from marketdata.services.calendar import calendars_load_shipped

    calendars_load_shipped()


@lru_cache
def _written_tables() -> str:
    """The query for the tables that hold rows, apart from those that migrations and `django_db_setup` fill."""
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    names -= {"auth_permission", "django_content_type", "auth_group", "auth_group_permissions"}
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in sorted(names))


def _start() -> None:
    for setting in env.SETTINGS:  # an operator's environment and .env must not reach the tests
        os.environ[setting.variable] = ""
    folder = Path(tempfile.mkdtemp(prefix="ap-test-"))
    servers.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ["ALPHAPANDA_RUN_DIR"] = str(folder)
    os.environ["ALPHAPANDA_FEED"] = "none"
    os.environ["ALPHAPANDA_STRATEGIES"] = str(folder / "strategies")
    _find_data()
    servers.enter_context(embedded.start_all(folder, durable=False))


def _join(*, number: int) -> None:
    socket = places.redis_socket(Path(os.environ["ALPHAPANDA_RUN_DIR"]))
    os.environ["ALPHAPANDA_REDIS_URL"] = f"unix://{socket}?db={number % 16}"
    os.environ["ALPHAPANDA_TOPIC_PREFIX"] = f"w{number}."
    os.environ["ALPHAPANDA_STRATEGIES"] += f"-w{number}"  # one drops files while another counts them


def _find_data() -> None:
    """A git worktree may lie deeper than the checkout that `../shared/data` is relative to."""
    found = [parent / "shared" / "data" for parent in ROOT.parents]
    data = next((place for place in found if place.is_dir()), found[0])
    os.environ["ALPHAPANDA_DATA"] = str(data)
