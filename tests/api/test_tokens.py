"""Tokens for scripts: made and believed in one place."""

from __future__ import annotations

import threading
from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from tests.people import PASSWORD, a_person

pytestmark = pytest.mark.django_db
AREA = "/api/v1/token/"


def a_pair(name: str = "alice") -> dict[str, str]:
    answer = APIClient().post(AREA, {"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def get(access: str) -> int:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {access}").get("/api/v1/strategies/").status_code


def refresh(token: str) -> int:
    return APIClient().post(AREA + "refresh/", {"refresh": token}).status_code


@pytest.fixture
def alice() -> User:
    return a_person("alice", role="operator")


def test_a_pair_opens_the_api_for_five_minutes(alice: User):
    pair = a_pair()

    claims = jwt.decode(
        pair["access"],
        settings.SIMPLE_JWT["SIGNING_KEY"],
        algorithms=["HS256"],
        audience="alphapanda-api",
        issuer="alphapanda",
    )

    assert get(pair["access"]) == 200
    assert claims["exp"] - claims["iat"] in (299, 300)  # two looks at the clock
    assert get(pair["refresh"]) == 401


def test_wrong_passwords_strangers_and_people_without_a_role_get_the_same_answer(alice: User):
    a_person("charlie")

    tries = [("alice", "wrong"), ("nobody", PASSWORD), ("charlie", PASSWORD)]
    answers = [APIClient().post(AREA, {"username": n, "password": p}) for n, p in tries]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert len({answer.content for answer in answers}) == 1


def test_a_refresh_token_works_once(alice: User):
    pair = a_pair()

    assert refresh(pair["refresh"]) == 200
    assert refresh(pair["refresh"]) == 401


@pytest.mark.django_db(transaction=True)
def test_of_many_who_refresh_at_once_one_gets_tokens(alice: User):
    token, codes = a_pair()["refresh"], []

    def use() -> None:
        codes.append(refresh(token))
        connection.close()

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 401, 401, 401, 401, 401]


def test_a_revoked_refresh_token_is_dead_and_revoking_twice_is_fine(alice: User):
    pair = a_pair()

    for _ in range(2):
        assert APIClient().post(AREA + "revoke/", {"refresh": pair["refresh"]}).status_code == 204

    assert refresh(pair["refresh"]) == 401


def test_a_disabled_user_is_refused_at_once(alice: User):
    pair = a_pair()
    User.objects.update(is_active=False)

    assert get(pair["access"]) == 401
    assert refresh(pair["refresh"]) == 401


def test_a_changed_password_ends_all_tokens(alice: User):
    pair = a_pair()
    alice.set_password("another horse battery")
    alice.save()

    assert get(pair["access"]) == 401
    assert refresh(pair["refresh"]) == 401


def test_a_lowered_role_counts_at_once(alice: User):
    pair = a_pair()
    alice.groups.clear()

    assert get(pair["access"]) == 403
    assert refresh(pair["refresh"]) == 401


@pytest.mark.parametrize(
    ("change", "key", "algorithm"),
    [
        ({"aud": "somebody-else"}, None, "HS256"),
        ({"iss": "somebody-else"}, None, "HS256"),
        ({"exp": timezone.now() - timedelta(seconds=1)}, None, "HS256"),
        ({}, "k" * 40, "HS256"),
        ({}, None, "HS384"),
        ({}, "", "none"),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens_are_refused(alice: User, change: dict, key: str | None, algorithm: str):
    claims = jwt.decode(a_pair()["access"], options={"verify_signature": False}) | change
    secret = settings.SIMPLE_JWT["SIGNING_KEY"] if key is None else key

    assert get(jwt.encode(claims, secret or None, algorithm=algorithm)) == 401


def test_guessing_locks_the_name_out_even_for_the_right_password(alice: User, settings):
    settings.AXES_FAILURE_LIMIT = 3
    tries = [APIClient().post(AREA, {"username": "alice", "password": "wrong"}) for _ in range(3)]

    answer = APIClient().post(AREA, {"username": "alice", "password": PASSWORD})

    assert tries[0].status_code == 401
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "locked_out"


def test_the_token_route_is_throttled(alice: User, monkeypatch):
    monkeypatch.setattr("alphapanda.web.throttles.Token.THROTTLE_RATES", {"token": "2/min"})

    answers = [APIClient().post(AREA, {"username": "x", "password": "y"}).status_code for _ in range(3)]

    assert answers == [401, 401, 429]
