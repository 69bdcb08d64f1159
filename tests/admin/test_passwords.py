"""Passwords that are changed in the admin: together with the entry that tells of it, in a transaction of its own."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from tests.people import a_person

pytestmark = pytest.mark.django_db(transaction=True)  # within that of a test nobody would miss it
NEW = "a horse of another colour"


def test_a_password_that_is_set_for_another_is_told_with_its_entry(desk: Client):
    bob = a_person("bob", role="viewer")
    given = {"usable_password": "true", "password1": NEW, "password2": NEW, "set-password": "yes"}

    answer = desk.post(reverse("admin:auth_user_password_change", args=[bob.pk]), given)

    bob.refresh_from_db()
    assert answer.status_code == 302
    assert bob.check_password(NEW)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("alice", "user.change", "user:bob")


def test_a_password_that_is_changed_by_its_owner_is_told_too(desk: Client):
    given = {"old_password": "x" * 20, "new_password1": NEW, "new_password2": NEW}

    wrong = desk.post(reverse("admin:password_change"), given | {"old_password": "y"})
    right = desk.post(reverse("admin:password_change"), given)

    assert (wrong.status_code, right.status_code) == (200, 302)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("alice", "user.change", "user:alice")
    assert User.objects.get().check_password(NEW)
    assert desk.get(reverse("admin:index")).status_code == 200
