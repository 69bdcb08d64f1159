"""The servers that the tests themselves run on."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection

from alphapanda import env


@pytest.mark.django_db
def test_the_database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_database()")

        assert cursor.fetchone()[0].startswith("test_postgres")


def test_redis_answers() -> None:
    cache.set("panda", 1)

    assert cache.get("panda") == 1


def test_the_log_has_an_address() -> None:
    assert env.kafka_bootstrap().startswith("127.0.0.1:")
