"""Charges that differ, and that Kite then tells no more."""

from __future__ import annotations

from typing import Any

import pytest

from execution.domain.kite.bills import Charges
from execution.models import BrokerDesk, Difference
from execution.services.live import billing, looking
from strategies.models import Deployment
from tests.kite.looks import Started, looks

pytestmark = pytest.mark.django_db(transaction=True)


def test_charges_that_differed_once_and_are_told_no_more_keep_no_entry_waiting(
    started: Started, monkeypatch: Any
) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    monkeypatch.setattr(billing, "_is_over", lambda _fills, _now: True)
    monkeypatch.setattr(billing, "UNREAD_MAX", 2)
    told = looking.charges_of

    def dearer(body: bytes, bills: Any) -> dict[str, Charges]:
        return {name: Charges(one.total + 1, one.stamp) for name, one in told(body, bills).items()}

    monkeypatch.setattr(looking, "charges_of", dearer)
    looks(live)
    assert Difference.objects.get().rounds == 1
    monkeypatch.setattr(looking, "_read_charges", lambda *_: None)
    looks(live, 3)

    assert (Difference.objects.get().settled_at, Deployment.objects.get().status) == (None, "PAUSED")
    live.desk = live.begun()
    looks(live)
    assert BrokerDesk.objects.get().reconciled_at is not None
