"""Who is at the admin in its tests."""

from __future__ import annotations

import pytest
from django.test import Client


@pytest.fixture
def desk() -> Client:
    """The browser of a superuser."""
    from accounts.models import User  # needs the app registry

    client = Client()
    root = User.objects.create_superuser("alice", password="x" * 20)
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    return client
