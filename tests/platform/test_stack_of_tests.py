"""The servers that the tests themselves run on."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from alphapanda import env
from alphapanda.push.connection import client


@pytest.mark.django_db
def test_the_database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_database()")

        assert cursor.fetchone()[0].startswith("test_postgres")


def test_redis_answers() -> None:
    cache.set("panda", 1)

    assert cache.get("panda") == 1


def test_each_worker_has_its_own_redis_and_topics(worker_id: str) -> None:
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw")) + 1

    assert client().connection_pool.connection_kwargs.get("db", 0) == number
    assert (f"w{number}." if number else "") == settings.TOPIC_PREFIX


def test_the_log_has_an_address() -> None:
    assert env.kafka_bootstrap().startswith("127.0.0.1:")
