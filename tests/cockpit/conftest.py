"""Every test of the cockpit starts with an empty Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channels.layers import channel_layers

from alphapanda.push.connection import client


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    client().flushdb()  # flushall would empty those of the other test workers


@pytest.fixture(autouse=True)
def channel_layer_of_its_own() -> Iterator[None]:
    """A layer that worked in the loop of one test keeps locks that are bound to it."""
    yield
    channel_layers.backends.clear()
