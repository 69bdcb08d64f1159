"""Unique secrets, put through login, crash and refusal, come out nowhere: no log, topic, page, task, row."""

from __future__ import annotations

from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import broker, vault
from accounts.models import BrokerAccount, BrokerSession
from accounts.selectors import access_token
from alphapanda import logs
from alphapanda.kite.client import TokenDead
from alphapanda.kite_simulator import sessions
from alphapanda.kite_simulator.sessions import Account
from tests.kite.server import a_simulator, serving
from tests.people import client_of

pytestmark = pytest.mark.django_db
SECRET = "CanarySecret7x9k2m4q6w8e0r1t3y5u"
TOKENS = "CanaryToken9x2c4v6b8n0m1a3s5d{:03d}"  # 32 letters and digits, as Kite's

PAGES = (
    "/broker/",
    "/admin/accounts/brokeraccount/",
    "/admin/accounts/brokersession/",
    "/admin/accounts/brokerlogin/",
    "/admin/accounts/auditentry/",
    "/api/v1/broker-accounts/",
)


@pytest.fixture
def desk() -> Client:
    api, browser = client_of("alice"), Client(raise_request_exception=False)
    browser.cookies = api.cookies
    return browser


def dump() -> str:
    """All rows of all tables as text, bytes also decoded."""
    found = []
    with connection.cursor() as sql:
        for table in connection.introspection.table_names():
            sql.execute(f'SELECT t::text FROM "{table}" t')
            found += [row for (row,) in sql.fetchall()]
        sql.execute("SELECT body FROM eventlog_outboxevent")
        found += [bytes(body).decode() for (body,) in sql.fetchall()]
    return "\n".join(found)


def leaks(text: str) -> list[str]:
    folded = text.lower()
    return [
        word
        for word in ("CanarySecret", "CanaryToken")
        if word.lower() in folded or word.encode().hex() in folded
    ]


class Desk:
    """An operator's browser, and all that it was shown."""

    def __init__(self, browser: Client) -> None:
        self.browser = browser
        self.shown: list[str] = []

    def add_account(self, api_key: str) -> BrokerAccount:
        facts = {"name": "main", "broker": "zerodha", "user_id": "AB1234", "api_key": api_key}
        form = {**facts, "secret": SECRET, "is_active": "on"}
        assert self.browser.post("/admin/accounts/brokeraccount/add/", form).status_code == 302
        return BrokerAccount.objects.get()

    def log_in(self, act: str = "login") -> None:
        """Through Kite's page and back, and back again."""
        there = self.browser.post("/broker/login/", {"account": "main"})["Location"]
        params = parse_qs(urlsplit(there).query)["redirect_params"][0]
        fields = {"redirect_params": params, "act": act}
        back = requests.post(there, fields, allow_redirects=False, timeout=5).headers["Location"]
        for _ in range(2):
            self.see(back.removeprefix("http://testserver"))

    def see(self, page: str) -> None:
        self.shown.append(self.browser.get(page, follow=True).content.decode())


def test_secrets_come_out_nowhere(desk: Client, settings, monkeypatch, capfd):
    numbers, operator = count(), Desk(desk)
    monkeypatch.setattr(sessions.secrets, "token_hex", lambda _bytes: TOKENS.format(next(numbers)))
    account = Account(redirect_url="http://testserver/broker/callback/", api_secret=SECRET)
    with serving(a_simulator(account=account)) as served:
        settings.KITE_API_URL, settings.KITE_LOGIN_URL = served.url, f"{served.url}/connect/login"
        row = operator.add_account(account.api_key)
        operator.log_in("refuse")
        operator.log_in()
        token = access_token(row.pk, now=timezone.now()).access_token
        read = broker.reader(row.pk, clock=timezone.now)
        assert read("user.profile")["user_id"] == "AB1234"
        served.kite()
        with pytest.raises(TokenDead) as dead:
            read("user.profile")
        operator.log_in()
        with monkeypatch.context() as patch:
            patch.setattr(broker, "_store", _crash)
            operator.log_in()
        for page in (*PAGES, f"/admin/accounts/brokeraccount/{row.pk}/change/"):
            operator.see(page)
    log = logs.channel("application")
    log.error("x", response={"access_token": token}, url=f"wss://w/?access_token={token}&b=1")
    log.error("bare", words=f"frame of {token} came", only=token)
    written = "".join(capfd.readouterr())

    assert token.startswith("CanaryToken")
    assert "RuntimeError: cannot store" in written
    assert any("on the page Broker" in shown or "logged in" in shown for shown in operator.shown)
    assert leaks(written) == []
    assert leaks("".join(operator.shown) + repr(dead.value) + repr(dead.value.__context__)) == []
    assert leaks(dump()) == []


def _crash(_account: BrokerAccount, token: str, *_rest: object, **_facts: object) -> None:
    raise RuntimeError(f"cannot store {token}")


def test_the_form_keeps_the_secret_unless_another_is_given(desk: Client):
    facts = {"name": "main", "broker": "zerodha", "user_id": "AB1234", "api_key": "key1", "is_active": "on"}
    add = "/admin/accounts/brokeraccount/add/"

    assert "Kite gives no token without" in desk.post(add, {**facts, "secret": ""}).content.decode()
    assert (
        "capital letters and digits"
        in desk.post(add, {**facts, "user_id": "ab", "secret": "s"}).content.decode()
    )
    desk.post(add, {**facts, "secret": SECRET})
    account = BrokerAccount.objects.get()
    change = f"/admin/accounts/brokeraccount/{account.pk}/change/"
    _a_session(account)
    desk.post(change, {**facts, "name": "renamed", "secret": ""})

    account.refresh_from_db()
    assert account.name == "renamed"
    assert vault.unseal(account.api_secret, place=account.secret_place) == SECRET
    assert BrokerSession.objects.get().ended_at is None
    desk.post(change, {**facts, "api_key": "key2", "secret": ""})
    assert BrokerSession.objects.get().ended_by == "CREDENTIALS"
    assert desk.get(f"/admin/accounts/brokeraccount/{account.pk}/delete/").status_code == 403


def _a_session(account: BrokerAccount) -> None:
    now = timezone.now()
    BrokerSession.objects.create(
        account=account, number=1, access_token=b"x", logged_in_at=now, logged_in_by="alice", dies_at=now
    )
