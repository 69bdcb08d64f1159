"""The embedded servers: start, stop, a kill and what comes after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from alphapanda import embedded
from alphapanda.embedded import places


@pytest.fixture
def run_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ap-emb-"))
    yield folder
    shutil.rmtree(places.sockets(folder), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def connect(run_dir: Path) -> psycopg.Connection[tuple[int]]:
    host = str(places.postgres_socket_dir(run_dir))
    return psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)


def test_postgres_keeps_what_was_committed_through_a_kill(run_dir: Path) -> None:
    with embedded.start_all(run_dir, ["postgres"]) as servers:
        held = connect(run_dir)  # its backend outlives the postmaster for a moment
        held.execute("create table facts as select 7 as n")

        servers["postgres"].kill()
        servers["postgres"].start()

        with connect(run_dir) as again:
            row = again.execute("select n from facts").fetchone()
        held.close()
    assert row == (7,)


def test_postgres_is_synced_to_disk_and_closed_to_others(run_dir: Path) -> None:
    with embedded.start_all(run_dir, ["postgres"]), connect(run_dir) as database:
        shown = [
            database.execute(f"show {name}").fetchone()
            for name in ("fsync", "listen_addresses", "unix_socket_permissions")
        ]

    assert shown == [("on",), ("",), ("0700",)]


def test_redis_is_small_and_forgets(run_dir: Path) -> None:
    with embedded.start_all(run_dir, ["redis"]) as servers:
        client = redis.Redis(unix_socket_path=str(places.redis_socket(run_dir)))
        limits = client.config_get("maxmemory*")
        client.set("bell", 1)
        servers["redis"].kill()
        servers["redis"].start()
        kept = client.get("bell")
        client.close()

    assert (limits["maxmemory"], limits["maxmemory-policy"]) == (str(128 * 1024 * 1024), "noeviction")
    assert kept is None


def test_the_log_has_a_new_address_after_a_restart(run_dir: Path) -> None:
    with embedded.start_all(run_dir, ["kafka"]) as servers:
        first = (run_dir / places.KAFKA_ADDRESS).read_text()
        servers["kafka"].kill()
        servers["kafka"].start()
        second = (run_dir / places.KAFKA_ADDRESS).read_text()

    assert first != second
    assert not (run_dir / places.KAFKA_ADDRESS).exists()


def test_stopping_leaves_no_process(run_dir: Path) -> None:
    with embedded.start_all(run_dir) as servers:
        pids = [server.pid for server in servers.values()]
        assert all(pids)

    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)  # noqa: PTH110


def test_a_long_folder_has_its_sockets_elsewhere(run_dir: Path) -> None:
    deep = run_dir / ("deep" * 25)

    with embedded.start_all(deep, ["postgres", "redis"]), connect(deep) as database:
        row = database.execute("select 1").fetchone()

    assert row == (1,)
    assert places.sockets(deep) != deep
    shutil.rmtree(places.sockets(deep))


def test_a_folder_has_one_owner(run_dir: Path) -> None:
    with embedded.lock(run_dir), pytest.raises(embedded.RunDirTaken, match="another"), embedded.lock(run_dir):
        pass
