"""The way of a browser through Kite's login page, and back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import requests
from django.test import Client
from django.utils import timezone

from accounts import broker
from accounts.models import BrokerAccount
from accounts.selectors import access_token
from alphapanda.kite.client import Access
from alphapanda.kite.reading import Reader
from tests.people import client_of

LANDING = "http://testserver/broker/callback/"


def browser_of(name: str) -> Client:
    """A browser in which a persona is logged in; it sends forms."""
    api, browser = client_of(name), Client()
    browser.cookies = api.cookies
    return browser


def kites_page(answer, *, act: str = "login") -> str:
    """Where Kite's login page, to which an answer sends us, sends the browser."""
    assert answer.status_code == 302, answer.content
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert query["v"] == ["3"]
    fields = {"redirect_params": query["redirect_params"][0], "act": act}
    back = requests.post(answer["Location"], fields, allow_redirects=False, timeout=5)
    return back.headers["Location"].removeprefix("http://testserver")


def log_in(client: Client) -> str:
    """What the page says after a login."""
    back = kites_page(client.post("/broker/login/", {"account": "main"}))
    return client.get(back, follow=True).content.decode()


def alive(account: BrokerAccount) -> Access:
    return access_token(account.pk, now=timezone.now())


def ways_to_read(account: BrokerAccount) -> Reader:
    return broker.reader(account.pk, clock=timezone.now)
