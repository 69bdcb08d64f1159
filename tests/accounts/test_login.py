"""Coming in, going out, lock-out, and the policy of pages."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.people import PASSWORD, a_person

pytestmark = pytest.mark.django_db


def policy(answer) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer["Content-Security-Policy"].split(";"))
    return {name: sources for name, _, sources in parts}


def test_a_person_comes_in_and_goes_out():
    a_person("bob", role="viewer")
    client = Client()

    wrong = client.post("/login/", {"username": "bob", "password": "wrong"})
    right = client.post("/login/", {"username": "bob", "password": PASSWORD, "next": "/admin/"})
    out = client.post("/logout/")

    assert "Please enter a correct" in wrong.content.decode()
    assert (right.status_code, right["Location"]) == (302, "/admin/")
    assert out["Location"] == "/login/"
    assert "storage" in out["Clear-Site-Data"]
    assert client.get("/logout/").status_code == 405
    assert "sessionid" not in {name for name, cookie in client.cookies.items() if cookie.value}


def test_a_foreign_address_to_go_on_to_is_ignored():
    a_person("bob", role="viewer")

    answer = Client().post(
        "/login/", {"username": "bob", "password": PASSWORD, "next": "https://evil.example/"}
    )

    assert answer["Location"] == "/"


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_guessing_locks_a_name_out_whether_it_exists_or_not(settings, name: str):
    settings.AXES_FAILURE_LIMIT = 3
    a_person("bob", role="viewer")
    codes = [
        Client()
        .post("/login/", {"username": name, "password": "wrong"}, REMOTE_ADDR=f"10.0.0.{n}")
        .status_code
        for n in range(3)
    ]

    answer = Client().post("/login/", {"username": name, "password": PASSWORD})

    assert codes == [200, 200, 429]
    assert answer.status_code == 429
    assert "Too many attempts" in answer.content.decode()


def test_our_pages_have_a_strict_policy_and_the_admin_a_relaxed_one():
    ours, desk = policy(Client().get("/login/")), policy(Client().get("/admin/login/"))

    assert ours["default-src"] == desk["default-src"] == "'none'"
    assert ours["script-src"] == ours["style-src"] == "'self'"
    assert ours["connect-src"] == "'self' ws://testserver wss://testserver"
    assert ours["frame-ancestors"] == "'none'"
    assert "'unsafe-eval'" in desk["script-src"]


def test_the_login_page_brings_nothing_inline_or_from_afar():
    text = Client().get("/login/").content.decode()

    assert text.count("<script") == text.count('<script src="/static/')
    assert "style=" not in text
    assert "http" not in text.replace("http-equiv", "")
