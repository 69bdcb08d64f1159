"""Keys of the API: shown once, kept as a digest, bounded by scope and owner, ended at once, told in no log."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import ApiKey, AuditEntry, User
from alphapanda import logs
from tests.people import a_person, client_of

pytestmark = pytest.mark.django_db
AREA = "/api/v1/keys/"
READ, ACT = "READ", "ACT"


@pytest.fixture
def alice() -> User:
    return a_person("alice", role="operator", is_staff=True)


def a_key(owner: User, scope: str = READ, days: int | None = 1, **facts: object) -> str:
    given = {"name": f"{scope} {ApiKey.objects.count()}", "now": timezone.now()} | facts
    return keys.key_create(owner=owner, scope=scope, days=days, **given)[1]


def with_key(key: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")


def reads(key: str) -> int:
    return with_key(key).get("/api/v1/strategies/").status_code


def acts(key: str) -> int:
    return with_key(key).post("/api/v1/halts/", {"level": "GLOBAL", "reason": "drill"}).status_code


def test_a_key_reads_and_one_that_may_act_acts(alice: User) -> None:
    reader, actor = a_key(alice, READ), a_key(alice, ACT)
    assert (reads(reader), acts(reader)) == (200, 403)
    assert (reads(actor), acts(actor)) == (200, 201)


def test_the_roles_of_the_owner_count_when_it_is_used(alice: User) -> None:
    key = a_key(alice, ACT)
    alice.groups.clear()
    assert (reads(key), acts(key)) == (403, 403)
    User.objects.update(is_active=False)
    assert reads(key) == 401


def test_only_what_an_operator_asks_for_acts() -> None:
    bob = a_person("bob", role="viewer")
    with pytest.raises(keys.BadKey, match="Only an operator's key can act"):
        a_key(bob, ACT)
    assert (reads(key := a_key(bob)), acts(key)) == (200, 403)


def test_a_key_ends_when_its_time_is_over_and_when_it_is_revoked(alice: User) -> None:
    old = a_key(alice, now=timezone.now() - timedelta(days=1, seconds=1))
    endless = a_key(alice, days=None, now=timezone.now() - timedelta(days=4000))
    assert (reads(old), reads(endless)) == (401, 200)
    row = ApiKey.objects.get(expires_at=None)
    keys.key_revoke(key_id=row.pk, owner=alice, reason="lost", now=timezone.now())
    answer = with_key(endless).get("/api/v1/strategies/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key_refused")
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("text", ["apk_", "apk_x", "apk_" + "x" * 43, "apk_é", "APK_x"])
def test_what_is_no_key_is_refused(alice: User, text: str) -> None:
    a_key(alice)
    assert reads(text) == 401


def test_the_last_use_is_noted_to_the_minute(alice: User) -> None:
    key, now = a_key(alice), timezone.now()
    for later, noted in ((0, 0), (30, 0), (60, 60)):
        keys.key_believed(key, now=now + timedelta(seconds=later))
        assert ApiKey.objects.get().last_used_at == now + timedelta(seconds=noted)


def test_keys_are_made_listed_and_ended_over_rest(alice: User) -> None:
    client = client_of("alice")
    made = client.post(AREA, {"name": "desk", "scope": ACT})
    assert made.status_code == 201
    key = made.json()["key"]
    assert acts(key) == 201
    (row,) = client.get(AREA).json()
    assert (row["name"], row["scope"], row["state"]) == ("desk", ACT, "good")
    assert key not in json.dumps(row)
    assert client.post(AREA, {"name": "desk"}).json()["error"]["code"] == "key_conflict"
    assert client.post(AREA, {"name": "x", "days": 0}).status_code == 400
    assert client.post(f"{AREA}{row['id']}/revoke/", {"reason": "drill"}).json()["state"] == "revoked"
    assert client.post(f"{AREA}{row['id']}/revoke/", {"reason": "drill"}).status_code == 409
    assert client.post(AREA, {"name": "desk"}).status_code == 201  # the name is free again
    done = AuditEntry.objects.filter(target="api_key:desk").values_list("actor", "action")
    assert list(done) == [
        ("alice", "api_key.create"),
        ("alice", "api_key.revoke"),
        ("alice", "api_key.create"),
    ]


def test_with_a_key_no_other_is_made_or_ended(alice: User) -> None:
    client, row = with_key(a_key(alice, ACT)), ApiKey.objects.get()
    assert client.post(AREA, {"name": "heir"}).json()["error"]["code"] == "key_refused_here"
    assert client.post(f"{AREA}{row.pk}/revoke/", {"reason": "x"}).status_code == 409
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_keys_are_their_owners(alice: User) -> None:
    a_key(alice)
    bob, row = client_of("bob"), ApiKey.objects.get()
    assert bob.get(AREA).json() == []
    assert bob.post(f"{AREA}{row.pk}/revoke/", {"reason": "x"}).status_code == 404


def test_a_key_counts_as_its_owner_where_requests_are_counted(alice: User, monkeypatch) -> None:
    monkeypatch.setattr("alphapanda.web.throttles.Known.THROTTLE_RATES", {"user": "2/min"})
    first, second = a_key(alice), a_key(alice, ACT)
    assert [reads(first), reads(second), reads(first)] == [200, 200, 429]


def test_a_key_is_nowhere_but_on_the_answer(alice: User, capfd) -> None:
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = browser.post("/keys/", {"name": "desk", "scope": ACT, "days": "30"})
    key = answer.context["key"]
    assert answer.content.decode().count(key) == 1
    assert answer["Cache-Control"].startswith("max-age=0")
    assert acts(key) == 201
    reads(key[:-1] + "~")
    channel = logs.channel("application")
    channel.error("odd", words=f"they came with {key}", only=key, header=f"Bearer {key}")
    written = "".join(capfd.readouterr())
    pages = ("/keys/", "/logs/", "/admin/accounts/apikey/", "/admin/accounts/auditentry/", AREA)
    seen = "".join(browser.get(page).content.decode() for page in pages)

    assert "they came with" in written
    assert key[len(keys.PREFIX) + 6 :] not in written + seen + _dump()
    assert sha256(key.encode()).hexdigest() in _dump()
    assert sha256(key.encode()).hexdigest() not in seen


def _dump() -> str:
    """All rows of all tables as text."""
    found = []
    with connection.cursor() as sql:
        for table in connection.introspection.table_names():
            sql.execute(f'SELECT t::text FROM "{table}" t')
            found += [row for (row,) in sql.fetchall()]
    return "\n".join(found)


def test_the_command_does_the_same(alice: User, capsys) -> None:
    def run(*options: str) -> list[dict]:
        call_command("api_keys", "--user", "alice", "--json", *options)
        return json.loads(capsys.readouterr().out)

    assert run() == []
    ((made),) = run("--create", "desk", "--scope", ACT)
    assert acts(made["key"]) == 201
    assert [row["state"] for row in run("--revoke", "desk", "--reason", "drill")] == ["revoked"]
    assert reads(made["key"]) == 401
    for options in (["--revoke", "desk", "--reason", "x"], ["--create", "x", "--days", "-1"]):
        with pytest.raises(CommandError):
            run(*options)
    with pytest.raises(CommandError, match="no user 'eve'"):
        call_command("api_keys", "--user", "eve")
