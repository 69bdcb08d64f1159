"""Secrets that must be nowhere: sought in the files of a run, in every table, in every topic and in the pages shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from django.db import connection

from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.topics import TOPICS

CHUNK_MAX = 64 << 20  # of a file that is read whole


def hits(secrets: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret is where, in words; the secret itself is not told."""
    wanted = [(name, secret.encode()) for name, secret in secrets.items() if secret]
    return [f"{name} in {place}" for place, body in places for name, secret in wanted if secret in body]


def files(folder: Path, *, but: Iterable[str] = ()) -> Iterator[tuple[str, bytes]]:
    """The text files of a run: logs and whatever else lies there but the servers' own data."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] not in set(but) and path.stat().st_size <= CHUNK_MAX:
            yield f"file {inside}", path.read_bytes()


def tables() -> Iterator[tuple[str, bytes]]:
    """Each row of each table as text, as a dump has it, and bytes as they are."""
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            quoted = connection.ops.quote_name(name)
            cursor.execute(f"SELECT * FROM {quoted}")
            for row in cursor.fetchall():
                yield f"table {name}", b"\x00".join(map(_bytes, row))


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def topics() -> Iterator[tuple[str, bytes]]:
    """Every message that the log still holds."""
    with LogReader("canary") as reader:
        for topic in TOPICS.values():
            for partition in range(topic.partitions):
                low, high = reader.watermarks(topic.name, partition)
                reader.assign(topic.name, {partition: low})
                seen = low
                while seen < high:
                    for record in reader.poll(messages_max=1_000, timeout_s=5):
                        yield f"topic {topic.name}", record.value + str(record.headers).encode()
                        seen = record.offset + 1
