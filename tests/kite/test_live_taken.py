"""What others do to what our books hold, and what a person says of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution.models import BrokerDesk
from execution.services.live import account
from tests.builders import an_instrument
from tests.kite.looks import Started, looks, open_differences, until_morning

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_contract_of_a_person_that_has_ended_is_no_difference(started: Started, monkeypatch: Any) -> None:
    """Kite shows it no more on the day after; our own list says that it has ended."""
    live = started()
    looks(live)
    contract = an_instrument(7, symbol="INFY26NOVFUT")
    spec = msgspec.structs.replace(contract, key="NFO:INFY26NOVFUT", exchange="NFO", expiry=live.now().date())
    monkeypatch.setattr(account, "specs_by_key", lambda keys: dict.fromkeys(keys, spec))
    place = f"{spec.key} NRML"
    desk = BrokerDesk.objects.get()
    BrokerDesk.objects.update(outside=desk.outside | {"before": {place: 75}})
    monkeypatch.setattr(account, "_watched", lambda *_given: {spec.key})
    until_morning(live)
    looks(live, 2)

    assert (open_differences(), BrokerDesk.objects.get().outside["before"]) == ([], {"NSE:INFY CNC": 7})
