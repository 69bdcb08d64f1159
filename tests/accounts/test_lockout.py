"""Guessing locks a name out everywhere but where its owner is known; there only what is typed there counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessLog
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from tests.people import PASSWORD, a_person

pytestmark = pytest.mark.django_db
HOME, ROAD = "10.1.1.1", "10.2.2.2"


@pytest.fixture(autouse=True)
def bob_is_known_at_home(settings) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    a_person("bob", role="viewer")
    assert tried(PASSWORD, at=HOME) == 302


def tried(password: str, *, at: str, name: str = "bob") -> int:
    return Client().post("/login/", {"username": name, "password": password}, REMOTE_ADDR=at).status_code


def guessed(*, at: str = "10.9.9.{}", name: str = "bob") -> list[int]:
    return [tried("wrong", at=at.format(n), name=name) for n in range(4)]


def test_strangers_who_guess_keep_nobody_out_at_home():
    assert guessed() == [200, 200, 429, 429]
    assert (tried(PASSWORD, at=ROAD), tried(PASSWORD, at=HOME)) == (429, 302)


def test_a_login_at_home_gives_strangers_no_more_tries():
    guessed()
    tried(PASSWORD, at=HOME)

    assert tried("wrong", at="10.9.9.77") == 429


def test_guessing_at_home_locks_out_there():
    assert guessed(at=HOME) == [200, 200, 429, 429]
    assert tried(PASSWORD, at=HOME) == 429


def test_what_is_typed_at_home_counts_elsewhere():
    guessed(at=HOME)

    assert tried(PASSWORD, at=ROAD) == 429


def test_a_home_is_one_persons():
    a_person("alice", role="operator")
    guessed(name="alice")

    assert tried(PASSWORD, at=HOME, name="alice") == 429


def test_a_home_is_forgotten_in_time():
    AccessLog.objects.update(attempt_time=timezone.now() - timedelta(days=91))
    guessed()

    assert tried(PASSWORD, at=HOME) == 429


def test_a_command_on_this_machine_counts_by_itself():
    guessed()

    assert authenticate(HttpRequest(), username="bob", password=PASSWORD)
    for _ in range(3):
        authenticate(HttpRequest(), username="bob", password="wrong")
    assert authenticate(HttpRequest(), username="bob", password=PASSWORD) is None


def test_a_name_that_nobody_can_have_is_answered_as_any_other():
    assert guessed(name="b" * 5_000) == [200, 200, 429, 429]
