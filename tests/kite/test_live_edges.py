"""Edges of the account's processes: the lock, what a machine's files say of addresses, gaps of the stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from alphapanda import health_checks, kite_feed, lease
from alphapanda.core.envelope import FeedGap
from alphapanda.kite.client import Client
from alphapanda.push.readmodel import ReadModelUnavailable
from execution.management.commands import broker
from execution.models import BrokerPush
from execution.services.live.http import KiteHttp
from risk.models import Alert
from tests.kite.server import Served


def test_a_netrc_of_the_machine_signs_in_no_one(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    settings.KITE_API_URL = served.url
    known = served.kite()
    access = kite_feed.Access(known.api_key, known.access_token, None)  # type: ignore[arg-type]

    assert KiteHttp(served.url, lambda: access).read("/orders").status == 200
    assert Client(access.api_key, access.access_token).ask("orders") == []


@pytest.mark.django_db(transaction=True)
def test_a_fault_of_others_leaves_the_connection_and_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    before = connection.connection
    broker._drop_dead_connection()
    monkeypatch.setattr(broker, "_owns", lambda: pytest.fail("it has the lock"))

    assert connection.connection is before
    assert broker._as_owner(lambda: 7) == 7


@pytest.mark.django_db(transaction=True)
def test_who_lost_the_lock_with_the_connection_does_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    connection.connection.close()  # as where the server ended it
    broker._drop_dead_connection()
    assert connection.connection is None
    monkeypatch.setattr(broker, "_owns", lambda: False)

    with pytest.raises(SystemExit, match="another process owns"):
        broker._as_owner(lambda: pytest.fail("done without the lock"))


@pytest.mark.django_db
@pytest.mark.parametrize(("quiet", "alerts"), [("", 1), ("market closed", 0)])
def test_a_gap_is_an_alert_while_ticks_are_expected_and_its_end_asks_for_the_book(
    monkeypatch: pytest.MonkeyPatch, settings: Any, quiet: str, alerts: int
) -> None:
    settings.ZERODHA_ENABLED = True
    monkeypatch.setattr(health_checks, "is_quiet", lambda: quiet)
    kite_feed._tell(FeedGap("kite", 0, 5, 1_000, 0, "cut"))
    assert not BrokerPush.objects.exists()
    kite_feed._tell(FeedGap("kite", 0, 5, 1_000, 2_000, "cut"))

    assert [row.source for row in BrokerPush.objects.all()] == ["gap"]
    assert Alert.objects.filter(code="feed_gap", subject="kite:0").count() == alerts


@pytest.mark.django_db
def test_the_lease_is_watched_on_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> bool:
        raise ReadModelUnavailable("Redis does not answer")

    monkeypatch.setattr(lease, "check", away)
    lease.look(timezone.now())
