"""Roles, the first operator, the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.db import ProgrammingError, connection, transaction

from accounts.models import AuditEntry, User
from accounts.services import (
    AuditOutsideTransaction,
    OperatorExists,
    act_record,
    audit,
    ensure_roles,
    operator_create,
)
from alphapanda.core.envelope import decode
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.web.roles import roles_of
from tests.people import a_person

pytestmark = pytest.mark.django_db


def test_roles_are_made_once_and_keep_their_permissions():
    Group.objects.all().delete()
    ensure_roles()
    Group.objects.get(name="viewer").permissions.clear()
    ensure_roles()

    viewer, operator = Group.objects.get(name="viewer"), Group.objects.get(name="operator")

    assert Group.objects.count() == 2
    assert not viewer.permissions.exclude(codename__startswith="view_").exists()
    assert operator.permissions.filter(codename="change_limitset").exists()
    assert not operator.permissions.filter(codename__in=["change_user", "delete_fill", "add_order"]).exists()


def test_the_first_operator_gets_a_password_of_twenty_characters_and_there_is_no_second():
    password = operator_create("alice")

    alice = User.objects.get(username="alice")
    assert len(password) == 20
    assert alice.check_password(password)
    assert alice.password.startswith("argon2")
    assert roles_of(alice) == {"viewer", "operator"}
    with pytest.raises(OperatorExists):
        operator_create("mallory")
    assert not User.objects.filter(username="mallory").exists()


def test_roles_of_a_person():
    assert roles_of(a_person("bob", role="viewer")) == {"viewer"}
    assert roles_of(a_person("alice", role="operator")) == {"viewer", "operator"}
    assert roles_of(a_person("charlie")) == frozenset()
    assert roles_of(a_person("dora", role="operator", is_active=False)) == frozenset()


@pytest.mark.django_db(transaction=True)
def test_an_audit_entry_outside_a_transaction_is_refused():
    with pytest.raises(AuditOutsideTransaction):
        audit(actor="alice", action="x", target="y")


def test_an_audit_entry_cannot_be_changed_or_deleted():
    entry = audit(actor="alice", action="x", target="y", ip="127.0.0.1")

    for change in ("UPDATE accounts_auditentry SET actor = 'eve'", "DELETE FROM accounts_auditentry"):
        with (
            pytest.raises(ProgrammingError, match="Cannot update or delete"),
            transaction.atomic(),
            connection.cursor() as sql,
        ):
            sql.execute(change)
    assert AuditEntry.objects.get().pk == entry.pk


def test_an_act_is_told_to_the_log():
    act_record(
        actor="alice", action="halt.throw", target="halt:global", reason="drill", now=datetime.now(UTC)
    )

    _, payload = decode(bytes(OutboxEvent.objects.get().body))
    assert (payload.actor, payload.action, payload.reason) == ("alice", "halt.throw", "drill")
