"""The end of a session at Kite, and what is told of accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import broker, selectors
from accounts.models import AuditEntry, BrokerAccount, BrokerSession
from accounts.selectors import NoAccount, NoToken, the_account
from alphapanda import kite_feed, tasks
from alphapanda.health import registry
from alphapanda.kite.client import TokenDead
from risk.models import Alert
from tests.accounts.way import alive, log_in, ways_to_read
from tests.kite.server import Served
from tests.people import client_of
from tests.rows import a_broker_account

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("is_live", "severity"), [(True, "CRITICAL"), (False, "WARNING")])
def test_a_token_that_kite_refuses_ends_its_session_with_one_alert(
    kite: Served, account: BrokerAccount, alice: Client, settings, is_live: bool, severity: str
):
    settings.ZERODHA_ENABLED = is_live
    log_in(alice)
    read = ways_to_read(account)
    kite.kite()  # somebody logs in with the same key elsewhere

    for error in (TokenDead, NoToken, NoToken):
        with pytest.raises(error):
            read("user.profile")
    tasks.watch()
    tasks.watch()

    session = BrokerSession.objects.get()
    alert = Alert.objects.get()
    assert (session.ended_by, bytes(session.access_token)) == ("REFUSED", b"")
    assert (alert.code, alert.severity, alert.subject, alert.times) == (
        "broker_session", severity, "main login 1", 1
    )  # fmt: skip
    assert "Incorrect `api_key` or `access_token`" in alert.text
    assert AuditEntry.objects.filter(action="broker_session.die", actor="kite").count() == 1
    assert "Nothing is sent to the broker until then" in alice.get("/broker/").content.decode()
    log_in(alice)
    assert read("user.profile")["user_id"] == "AB1234"


def test_a_token_that_the_websocket_alone_refuses_stays_for_orders(
    kite: Served, account: BrokerAccount, alice: Client, settings
):
    log_in(alice)
    access = alive(account)

    kite_feed._died(access)
    settings.KITE_API_URL = "http://127.0.0.1:9"  # nobody listens: nothing is known
    kite_feed._died(access)
    assert alive(account) == access

    settings.KITE_API_URL = kite.url
    kite.kite()  # somebody logs in with the same key elsewhere
    kite_feed._died(access)
    assert BrokerSession.objects.get().ended_by == "REFUSED"


def test_the_refusal_of_an_old_token_does_not_touch_the_new_one(account: BrokerAccount, alice: Client):
    log_in(alice)
    old = alive(account)
    log_in(alice)

    assert broker.session_died(old, "too late", now=timezone.now()) is False
    assert alive(account).session_id != old.session_id
    assert not AuditEntry.objects.filter(action="broker_session.die").exists()


def test_logging_out_ends_the_token_here_and_there(kite: Served, account: BrokerAccount, alice: Client):
    log_in(alice)

    shown = alice.post("/broker/logout/", {"account": "main"}, follow=True).content.decode()

    assert "main is logged out of Kite." in shown
    assert kite.simulator.sessions.current is None
    with pytest.raises(NoToken):
        alive(account)
    assert not Alert.objects.exists()


def test_tokens_of_the_day_before_are_forgotten(account: BrokerAccount, alice: Client):
    log_in(alice)
    dies_at = BrokerSession.objects.get().dies_at

    assert broker.tokens_forget(now=dies_at - timedelta(seconds=1)) == 0
    assert broker.tokens_forget(now=dies_at) == 1
    session = BrokerSession.objects.get()
    assert (bytes(session.access_token), session.ended_at, session.ended_by) == (b"", dies_at, "")
    assert broker.tokens_forget(now=dies_at) == 0


def test_health_has_a_row_for_each_account(account: BrokerAccount, alice: Client, kite: Served):
    a_broker_account(name="second", user_id="CD1", api_key="other")

    def rows() -> dict[str, tuple[str, str]]:
        found = registry.run([registry.Group.HOUSE])
        return {r.name: (r.status.level.value, r.status.words) for r in found if r.name.startswith("broker")}

    assert rows()["broker main"] == ("warn", "no token today: log in to Kite on the page Broker")
    log_in(alice)
    assert rows()["broker main"][0] == "ok"
    assert rows()["broker main"][1].endswith("06:00 IST")
    broker.session_died(alive(account), "gone", now=timezone.now())
    assert rows() == {
        "broker main": ("fail", "the broker refused its token: log in to Kite on the page Broker"),
        "broker second": ("warn", "no token today: log in to Kite on the page Broker"),
    }


def test_which_account_is_meant_must_be_clear():
    with pytest.raises(NoAccount, match="make one in the admin"):
        the_account()
    first = a_broker_account()
    assert the_account() == first
    second = a_broker_account(name="second", user_id="CD1", api_key="other")
    assert the_account("second") == second
    with pytest.raises(NoAccount, match="Say which broker account is meant; active are main, second"):
        the_account()
    with pytest.raises(NoAccount, match="no active broker account 'third'"):
        the_account("third")


def test_the_api_tells_of_accounts_without_secrets(account: BrokerAccount, alice: Client):
    log_in(alice)

    (row,) = client_of("bob").get("/api/v1/broker-accounts/").json()

    assert (row["name"], row["user_id"], row["api_key"], row["state"]) == (
        "main", "AB1234", "simulatorapikey", "ALIVE"
    )  # fmt: skip
    assert not {"api_secret", "access_token"} & set(row)
    assert selectors.accounts_now(now=datetime.now(UTC))[0].session.dies_at.isoformat()[:10] in row["dies_at"]
