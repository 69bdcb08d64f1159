"""Every test of the cockpit starts with an empty Redis."""

from __future__ import annotations

import pytest

from alphapanda.push.connection import client


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    client().flushdb()  # flushall would empty those of the other test workers


@pytest.fixture
def live_enabled(settings: pytest.FixtureRequest) -> None:
    """An installation that has both namespaces."""
    settings.BROKERS = ["paper", "zerodha"]
