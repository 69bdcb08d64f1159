"""A simulated broker that goes back to us, an account there, and an operator. What needs the apps is imported where it
is used: this file is read before they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from accounts.models import BrokerAccount
    from tests.kite.server import Served


@pytest.fixture
def kite(settings) -> Iterator[Served]:
    from alphapanda.kite_simulator.sessions import Account
    from tests.accounts.way import LANDING
    from tests.kite.server import a_simulator, serving

    with serving(a_simulator(account=Account(redirect_url=LANDING))) as served:
        settings.KITE_API_URL = served.url
        settings.KITE_LOGIN_URL = f"{served.url}/connect/login"
        yield served


@pytest.fixture
def account(kite: Served) -> BrokerAccount:
    from tests.rows import a_broker_account

    return a_broker_account()


@pytest.fixture
def alice() -> Client:
    from tests.accounts.way import browser_of

    return browser_of("alice")
