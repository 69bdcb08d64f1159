"""The people of the tests: operator alice, viewer bob, charlie without a role, dora who was disabled."""

from __future__ import annotations

from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from accounts.models import User

PASSWORD = "correct horse battery"


def a_person(name: str, *, role: str = "", **facts: object) -> User:
    """A user, in the group of a role."""
    user = User.objects.create_user(name, password=PASSWORD, **facts)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def client_of(name: str) -> APIClient:
    """An API client with the session of a persona, who is created where needed; `anonymous` has none."""
    client = APIClient()
    if name == "anonymous":
        return client
    user = User.objects.filter(username=name).first() or PERSONAS[name]()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    if name == "dora":  # disabled while logged in
        User.objects.filter(pk=user.pk).update(is_active=False)
    return client


PERSONAS = {
    "alice": lambda: a_person("alice", role="operator", is_staff=True),
    "bob": lambda: a_person("bob", role="viewer"),
    "charlie": lambda: a_person("charlie"),
    "dora": lambda: a_person("dora", role="operator"),
}
