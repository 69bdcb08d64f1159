"""The way to Kite's login page and back, against the simulator, as a browser goes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import broker, vault
from accounts.broker import LoginRefused
from accounts.models import AuditEntry, BrokerAccount, BrokerLogin, BrokerSession
from accounts.selectors import NoToken, access_token
from alphapanda.core.envelope import decode
from alphapanda.eventlog.models import OutboxEvent
from tests.accounts.way import LANDING, alive, browser_of, kites_page, log_in, ways_to_read
from tests.kite.server import Served
from tests.people import a_person, client_of
from tests.rows import a_broker_account

pytestmark = pytest.mark.django_db


def test_an_operator_logs_in_and_everybody_has_the_token(kite: Served, account: BrokerAccount, alice: Client):
    before = alice.get("/broker/").content.decode()
    after = log_in(alice)

    access = alive(account)
    assert "not logged in" in before
    assert f"<code>{LANDING}</code>" in before
    assert "main is logged in to Kite." in after
    assert f'data-until-ms="{int(BrokerSession.objects.get().dies_at.timestamp()) * 1000}"' in after
    assert kite.call(kite.simulator.sessions.is_alive, access.api_key, access.access_token)
    assert ways_to_read(account)("user.profile")["user_id"] == "AB1234"


def test_the_token_is_sealed_in_its_row_and_dies_at_six(account: BrokerAccount, alice: Client):
    log_in(alice)
    session, token = BrokerSession.objects.get(), alive(account).access_token

    assert token.encode() not in bytes(session.access_token)
    assert vault.unseal(session.access_token, place=session.token_place) == token
    dies = timezone.localtime(session.dies_at)
    assert (dies.hour, dies.minute, dies.second) == (6, 0, 0)
    assert timedelta(0) < session.dies_at - timezone.now() <= timedelta(days=1)
    with pytest.raises(NoToken, match="log in to Kite on the page Broker"):
        access_token(account.pk, now=session.dies_at)
    assert access_token(account.pk, now=session.dies_at - timedelta(seconds=1)).access_token == token


def test_a_login_is_audited_and_told(account: BrokerAccount, alice: Client):
    log_in(alice)

    entry = AuditEntry.objects.get(action="broker_login.done")
    payloads = [decode(bytes(event.body))[1] for event in OutboxEvent.objects.all()]
    assert (entry.actor, entry.target) == ("alice", "broker_account:main")
    assert [payload.action for payload in payloads] == ["broker_login.done"]
    assert BrokerLogin.objects.get().outcome == "logged in"


def test_a_second_login_takes_the_place_of_the_first(kite: Served, account: BrokerAccount, alice: Client):
    log_in(alice)
    first = alive(account)
    read = ways_to_read(account)
    read("user.profile")
    log_in(alice)

    old, new = BrokerSession.objects.order_by("number")
    assert (old.ended_by, bytes(old.access_token), new.ended_at) == ("SUPERSEDED", b"", None)
    assert alive(account).access_token != first.access_token
    assert read("user.profile")["user_id"] == "AB1234"  # the same reader, without a restart


def test_browsers_may_follow_the_form_to_kite_and_nowhere_else(kite: Served, account, alice: Client):
    policy = alice.get("/broker/")["Content-Security-Policy"]

    assert f"form-action 'self' {kite.url}" in policy
    assert "script-src 'self'" in policy
    assert kite.url not in alice.get("/health/")["Content-Security-Policy"]


def test_pages_that_were_open_before_may_still_act_after_the_way_back(
    kite: Served, account: BrokerAccount, alice: Client
):
    """From another site a browser comes with Lax cookies alone: a page that comes then must not shut the others out."""
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = alice.cookies
    form = {"csrfmiddlewaretoken": browser.get("/broker/").context["csrf_token"]}
    back = kites_page(browser.post("/broker/login/", {"account": "main", **form}))
    strict = [name for name, cookie in browser.cookies.items() if cookie["samesite"] == "Strict"]
    for name in strict:
        del browser.cookies[name]

    assert "main is logged in to Kite." in browser.get(back, follow=True).content.decode()
    assert browser.post("/broker/logout/", {"account": "main", **form}).status_code == 302


# ---- what is refused ----


def test_the_way_back_in_another_browser_is_refused(account: BrokerAccount, alice: Client):
    back = kites_page(alice.post("/broker/login/", {"account": "main"}))
    other, mallory = browser_of("alice"), Client()
    mallory.force_login(
        a_person("mallory", role="operator"), backend="django.contrib.auth.backends.ModelBackend"
    )

    for stranger in (other, mallory):
        assert "not begun in this browser session" in stranger.get(back, follow=True).content.decode()
    assert not BrokerSession.objects.exists()
    assert "is logged in" in alice.get(back, follow=True).content.decode()  # they have used up nothing


def test_a_state_is_good_once(account: BrokerAccount, alice: Client, kite: Served):
    back = kites_page(alice.post("/broker/login/", {"account": "main"}))
    alice.get(back)
    again = kite.call(kite.simulator.sessions.login)  # even with a fresh token of Kite's
    replayed = back.replace(parse_qs(urlsplit(back).query)["request_token"][0], again)

    assert (
        "not begun in this browser session, was used before"
        in alice.get(replayed, follow=True).content.decode()
    )
    assert BrokerSession.objects.count() == 1


@pytest.mark.parametrize(
    "query", ["", "?state=", "?state=x&status=success&request_token=y", "?status=success"]
)
def test_without_a_state_of_ours_nothing_happens(account: BrokerAccount, alice: Client, query: str):
    alice.post("/broker/login/", {"account": "main"})

    assert "begin again" in alice.get(f"/broker/callback/{query}", follow=True).content.decode()
    assert not BrokerSession.objects.exists()


def test_a_state_is_good_for_ten_minutes(account: BrokerAccount):
    now = timezone.now()

    def came_back_after(wait: timedelta) -> None:
        address = broker.login_begin(account=account, actor="alice", browser="b", now=now)
        params = parse_qs(urlsplit(address).query)["redirect_params"][0]
        came = {"state": params.removeprefix("state="), "status": "cancelled"}
        broker.login_finish(came=came, actor="alice", browser="b", now=now + wait)

    with pytest.raises(LoginRefused, match="took longer than ten minutes"):
        came_back_after(broker.OPEN_FOR)
    with pytest.raises(LoginRefused, match="'cancelled'"):
        came_back_after(broker.OPEN_FOR - timedelta(seconds=1))


def test_who_refuses_at_kites_page_is_not_logged_in(account: BrokerAccount, alice: Client):
    back = kites_page(alice.post("/broker/login/", {"account": "main"}), act="refuse")

    assert "came back with status &#x27;cancelled&#x27;" in alice.get(back, follow=True).content.decode()
    assert "'cancelled'" in AuditEntry.objects.get(action="broker_login.fail").reason
    assert not BrokerSession.objects.exists()


def test_another_person_of_kite_is_refused_and_logged_out_there(kite: Served, alice: Client):
    account = a_broker_account(user_id="ZZ9999")
    shown = log_in(alice)

    assert "Kite logged in &#x27;AB1234&#x27;, not ZZ9999" in shown
    assert not account.sessions.exists()
    assert kite.simulator.sessions.current is None


def test_a_wrong_secret_is_told_in_kites_words(account: BrokerAccount, alice: Client):
    broker.secret_set(account, "another")
    account.save()

    assert "Kite gave no token: Invalid `checksum`." in log_in(alice)
    assert not BrokerSession.objects.exists()


def test_kite_that_is_away_is_told(account: BrokerAccount, alice: Client, settings):
    back = kites_page(alice.post("/broker/login/", {"account": "main"}))
    settings.KITE_API_URL = "http://127.0.0.1:1"

    assert "Kite could not be reached: ConnectionError" in alice.get(back, follow=True).content.decode()


@pytest.mark.parametrize("person", ["anonymous", "bob", "charlie", "dora"])
def test_only_operators_log_in(account: BrokerAccount, person: str):
    client = browser_of(person)
    assert client.post("/broker/login/", {"account": "main"}).status_code == 403
    assert client.get("/broker/callback/?state=x&request_token=canary-1").status_code == 403
    assert client.post("/broker/logout/", {"account": "main"}).status_code == 403


def test_a_viewer_sees_the_state_and_no_button(account: BrokerAccount):
    page = client_of("bob").get("/broker/").content.decode()

    assert "not logged in" in page
    assert "/broker/login/" not in page


def test_accounts_out_of_use_do_not_log_in(account: BrokerAccount, alice: Client):
    BrokerAccount.objects.update(is_active=False)

    shown = alice.post("/broker/login/", {"account": "main"}, follow=True).content.decode()

    assert "There is no active broker account" in shown
    assert "Make an app at developers.kite.trade" in shown


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_uses_a_state(settings):
    account, now = a_broker_account(), timezone.now()
    address = broker.login_begin(account=account, actor="alice", browser="b", now=now)
    state = parse_qs(urlsplit(address).query)["redirect_params"][0].removeprefix("state=")

    def come_back(_number: int) -> str:
        try:
            broker.login_finish(came={"state": state, "status": "no"}, actor="alice", browser="b", now=now)
        except LoginRefused as refusal:
            return str(refusal)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(come_back, range(4)))

    assert sum("with status 'no'" in words for words in told) == 1
    assert sum("not begun in this browser" in words for words in told) == 3


@pytest.mark.django_db(transaction=True)
def test_of_many_logins_at_once_the_one_that_lives_at_kite_is_ours(kite: Served):
    account, now = a_broker_account(), timezone.now()

    def log_in_as(name: str) -> None:
        address = broker.login_begin(account=account, actor=name, browser=name, now=now)
        state = parse_qs(urlsplit(address).query)["redirect_params"][0].removeprefix("state=")
        token = kite.call(kite.simulator.sessions.login)
        came = {"state": state, "status": "success", "request_token": token}
        try:
            broker.login_finish(came=came, actor=name, browser=name, now=now)
        finally:
            connection.close()

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(log_in_as, "abcd"))
        assert alive(account).access_token == kite.simulator.sessions.current.access_token
    assert list(account.sessions.filter(ended_at=None).values_list("number", flat=True)) == [12]


def test_a_token_whose_key_is_gone_is_told_on_the_page(account: BrokerAccount, alice: Client, settings):
    settings.CREDENTIAL_KEYS = ["another key " * 5]

    assert "not among ALPHAPANDA_CREDENTIAL_KEYS: put it back" in log_in(alice)
