"""Secrets of the database open only where they lie, and with their own key."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import vault
from accounts.broker import credentials_rotate, secret_set
from accounts.models import BrokerAccount, BrokerSession
from tests.rows import a_broker_account

CANARY = "canary-4f1c9a7e2b-secret"
OLD, NEW = "o" * 43, "n" * 43
AT = datetime(2026, 11, 27, 3, tzinfo=UTC)


@pytest.fixture
def keys(settings) -> object:
    settings.CREDENTIAL_KEYS = [OLD]
    return settings


def test_what_is_sealed_opens_in_its_place_and_nowhere_else(keys):
    box = vault.seal(CANARY, place="a/1/secret")

    assert CANARY.encode() not in box
    assert vault.unseal(box, place="a/1/secret") == CANARY
    assert vault.seal(CANARY, place="a/1/secret") != box
    for place in ("a/2/secret", "a/1/other", ""):
        with pytest.raises(vault.Unreadable, match="moved or changed"):
            vault.unseal(box, place=place)
    assert vault.seal("", place="a") == b""
    assert vault.unseal(b"", place="a") == ""


@pytest.mark.parametrize("at", [5, 16, 17, -1])
def test_a_changed_box_does_not_open(keys, at: int):
    box = bytearray(vault.seal(CANARY, place="a"))
    box[at] ^= 1

    with pytest.raises(vault.Unreadable):
        vault.unseal(bytes(box), place="a")
    with pytest.raises(vault.Unreadable):
        vault.unseal(bytes(box[:10]), place="a")


def test_the_first_key_seals_and_all_open(keys):
    box = vault.seal(CANARY, place="a")

    keys.CREDENTIAL_KEYS = [NEW, OLD]
    assert vault.unseal(box, place="a") == CANARY
    assert not vault.is_sealed_anew(box)
    fresh = vault.seal(CANARY, place="a")
    keys.CREDENTIAL_KEYS = [NEW]
    assert vault.is_sealed_anew(fresh)
    assert vault.unseal(fresh, place="a") == CANARY
    with pytest.raises(vault.Unreadable, match=r"^a: .* not among ALPHAPANDA_CREDENTIAL_KEYS"):
        vault.unseal(box, place="a")


@pytest.mark.django_db
def test_after_a_rotation_the_old_key_may_go(keys):
    account = a_broker_account()
    secret_set(account, CANARY)
    account.save()
    session = BrokerSession(account=account, number=1, logged_in_at=AT, logged_in_by="alice", dies_at=AT)
    session.access_token = vault.seal("token", place=session.token_place)
    session.save(force_insert=True)
    keys.CREDENTIAL_KEYS = [NEW, OLD]

    assert credentials_rotate() == 2
    assert credentials_rotate() == 0

    keys.CREDENTIAL_KEYS = [NEW]
    account, session = BrokerAccount.objects.get(), BrokerSession.objects.get()
    assert vault.unseal(account.api_secret, place=account.secret_place) == CANARY
    assert vault.unseal(session.access_token, place=session.token_place) == "token"


@pytest.mark.django_db
def test_the_command_says_how_many_or_which_key_is_missing(keys):
    a_broker_account()
    keys.CREDENTIAL_KEYS = [NEW, OLD]
    out = StringIO()

    call_command("rotate_credentials", stdout=out)

    assert "1 sealed anew" in out.getvalue()
    keys.CREDENTIAL_KEYS = [OLD]
    with pytest.raises(CommandError, match="put it back"):
        call_command("rotate_credentials")


@pytest.mark.django_db
def test_a_secret_moved_to_another_row_does_not_open(keys):
    account, other = a_broker_account(), a_broker_account(name="b", user_id="CD1", api_key="other")

    with connection.cursor() as sql:
        sql.execute(
            "UPDATE accounts_brokeraccount SET api_secret = %s WHERE id = %s", [account.api_secret, other.pk]
        )
    other.refresh_from_db()

    with pytest.raises(vault.Unreadable):
        vault.unseal(other.api_secret, place=other.secret_place)
