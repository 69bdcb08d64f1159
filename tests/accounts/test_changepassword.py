"""`manage.py changepassword`: told in the audit trail, and the end of what the old password had opened."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import AuditEntry, User
from alphapanda.eventlog.models import OutboxEvent
from tests.people import PASSWORD, a_person

pytestmark = pytest.mark.django_db
NEW = "a horse of another colour"


@pytest.fixture
def bob() -> User:
    return a_person("bob", role="viewer")


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NEW}\n"))


def test_it_is_told_with_who_and_why_and_without_the_password(bob: User, piped: None, capsys):
    call_command("changepassword", "bob", actor="alice", reason="lost", as_json=True)

    bob.refresh_from_db()
    assert bob.check_password(NEW)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("alice", "user.change", "user:bob")
    assert entry.reason == "lost"
    assert NEW not in json.dumps(entry.details)
    assert OutboxEvent.objects.count() == 1
    [said] = json.loads(capsys.readouterr().out)
    assert (said["user"], said["password"]) == ("bob", "changed")


def test_it_ends_sessions_and_tokens(bob: User, piped: None):
    browser, script = Client(), APIClient()
    browser.post("/login/", {"username": "bob", "password": PASSWORD})
    pair = script.post("/api/v1/token/", {"username": "bob", "password": PASSWORD}).json()
    script.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    before = [browser.get("/").status_code, script.get("/api/v1/strategies/").status_code]

    call_command("changepassword", "bob")

    after = [browser.get("/").status_code, script.get("/api/v1/strategies/").status_code]
    refreshed = APIClient().post("/api/v1/token/refresh/", {"refresh": pair["refresh"]})
    assert (before, after, refreshed.status_code) == ([200, 200], [302, 401], 401)


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("nobody", NEW, "There is no user 'nobody'"),
        ("bob", "short", "too short"),
        ("bob", "", "Nothing was given"),
    ],
)
def test_what_cannot_be_is_refused_in_words(bob: User, monkeypatch, name: str, typed: str, said: str):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))

    with pytest.raises(CommandError, match=said):
        call_command("changepassword", name)

    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("piped_in", ["a latin hor\xdfe of old".encode("latin-1"), NEW.encode("utf-16")])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_bytes_that_nobody_could_type_again_change_nothing(
    bob: User, monkeypatch, piped_in: bytes, errors: str
):
    stdin = io.TextIOWrapper(io.BytesIO(piped_in), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", stdin)

    with pytest.raises(CommandError, match="No text in UTF-8 was given"):
        call_command("changepassword", "bob")

    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_a_password_with_a_character_that_the_login_page_refuses_is_refused(bob: User, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NEW}\0\n"))

    with pytest.raises(CommandError, match="No text was given"):
        call_command("changepassword", "bob")

    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


@pytest.mark.parametrize(("again", "changed"), [(NEW, True), ("another", False)])
def test_at_the_keyboard_it_is_asked_for_twice(bob: User, monkeypatch, again: str, changed: bool):
    answers = iter([NEW, again])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))

    with nullcontext() if changed else pytest.raises(CommandError, match="not the same"):
        call_command("changepassword", "bob")

    bob.refresh_from_db()
    assert bob.check_password(NEW) is changed
