"""Dead letters: kept whole, told once, sent again to where they came from, audited."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from alphapanda.core.envelope import decode
from alphapanda.eventlog import dead_letters
from alphapanda.eventlog.models import DeadLetter, OutboxEvent
from alphapanda.eventlog.records import MESSAGE_BYTES_MAX, Record
from alphapanda.eventlog.relay import Relay

LOG = UUID(int=1)
WHO = {"actor": "alice", "now": timezone.now()}


def a_record(*, offset=5, value=b"\x00broken", key=b"\x00\x07", headers=None):
    return Record(
        topic="market.ticks",
        partition=3,
        offset=offset,
        key=key,
        value=value,
        timestamp_ms=1234,
        headers=headers or {},
    )


def park(record, error="truncated"):
    with transaction.atomic():
        return dead_letters.park("stream", record, "UNDECODABLE", error, LOG)


def command(*arguments, **options):
    out = io.StringIO()
    call_command("dead_letters", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.mark.django_db
def test_parking_twice_is_parking_once():
    first, second = park(a_record()), park(a_record())

    assert first == second
    assert DeadLetter.objects.count() == 1
    assert OutboxEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("the_log")
def test_its_topic_gets_the_message_untouched_with_its_origin(read_all):
    letter = park(a_record(), ValueError("bad\n  access_token=abc123 header"))
    relay = Relay()
    relay.publish_batch()
    relay.close()

    (record,) = read_all("market.ticks.dlq")
    assert (record.key, record.value) == (b"\x00\x07", b"\x00broken")
    assert record.headers == {
        "dead-letter": str(letter.id).encode(),
        "source-topic": b"market.ticks",
        "source-partition": b"3",
        "source-offset": b"5",
        "source-timestamp": b"1234",
        "consumer": b"stream",
        "reason": b"UNDECODABLE",
        "error-class": b"ValueError",
        "error": b"bad access_token=*** header",
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("the_log")
def test_a_redriven_message_goes_back_repaired_and_is_audited(read_all):
    letter = park(a_record())

    dead_letters.redrive([letter.id], repair=bytes.upper, reason="mended", **WHO)
    relay = Relay()
    relay.publish_batch()
    relay.close()

    (record,) = read_all("market.ticks")
    assert (record.partition, record.key, record.value) == (3, b"\x00\x07", b"\x00BROKEN")
    assert record.headers == {"redriven": str(letter.id).encode()}
    (audit,) = [decode(r.value)[1] for r in read_all("operator.actions")]
    assert (audit.action, audit.actor, audit.reason) == ("dead_letter.redriven", "alice", "mended")
    letter.refresh_from_db()
    assert (letter.state, letter.redrive_count, letter.settled_at) == ("REDRIVEN", 1, WHO["now"])


@pytest.mark.django_db
def test_a_message_that_fails_again_and_again_is_sent_three_times():
    letter = park(a_record())
    for attempt in range(3):
        dead_letters.redrive([letter.id], **WHO)
        letter = park(a_record(offset=10 + attempt, headers={"redriven": str(letter.id).encode()}))

    with pytest.raises(dead_letters.DeadLetterRefused, match="3 times"):
        dead_letters.redrive([letter.id], **WHO)


@pytest.mark.django_db
def test_a_redrive_is_all_or_nothing():
    good, gone = park(a_record(offset=1)), park(a_record(offset=2))
    dead_letters.discard([gone.id], reason="noise", **WHO)

    for ids in ([good.id, gone.id], [good.id, 999_999]):
        with pytest.raises(dead_letters.DeadLetterRefused):
            dead_letters.redrive(ids, **WHO)
    good.refresh_from_db()
    assert (good.state, good.redrive_count) == ("NEW", 0)


@pytest.mark.django_db
def test_a_message_too_large_for_its_topic_is_kept_whole_all_the_same():
    letter = park(a_record(value=bytes(2 * MESSAGE_BYTES_MAX)))

    told = OutboxEvent.objects.get(topic="market.ticks.dlq")
    assert len(letter.body) == 2 * MESSAGE_BYTES_MAX
    assert (bytes(told.body), "body-omitted" in told.headers) == (b"", True)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("a\nb\x00c", "a b c"),
        ("api_key: 'k1', password=p", "api_key: '***', password=***"),
        ('{"access_token": "s3cret"}', '{"access_token": "***"}'),
        ("Authorization: token key:secret", "Authorization: ***"),
        ("instrument_token=408065 unknown", "instrument_token=408065 unknown"),
        ("x" * 900, "x" * 500),
    ],
)
def test_an_error_is_one_line_without_secrets(error, line):
    assert dead_letters.one_line(error) == line


@pytest.mark.django_db
def test_the_command_lists_and_shows():
    letters = [park(a_record(offset=n)) for n in range(3)]

    listed = json.loads(command("list", "--json", "--topic", "market.ticks"))
    assert [row["id"] for row in listed] == [letter.id for letter in letters]
    assert json.loads(command("list", "--json", "--reason", "OTHER")) == []
    some = json.loads(command("list", f"{letters[1].id}-{letters[2].id}", "--json"))
    assert [row["offset"] for row in some] == [1, 2]
    (shown,) = json.loads(command("show", str(letters[0].id), "--json"))
    assert shown["body_base64"] == "AGJyb2tlbg=="
    assert "3 dead letters" in command("list")
    DeadLetter.objects.update(failed_at=datetime(2026, 11, 30, 20, 5, tzinfo=UTC))
    assert "2026-12-01 01:35:00" in command("list")  # in IST, and whole where no terminal is
    assert "truncated" in command("show", str(letters[0].id))


@pytest.mark.django_db
def test_the_command_does_nothing_without_yes(tmp_path):
    letter = park(a_record())

    command("redrive")
    command("redrive", "--yes", "--dry-run")
    letter.refresh_from_db()
    assert letter.state == "NEW"

    (tmp_path / str(letter.id)).write_bytes(b"mended")
    command("redrive", "--yes", "--file", str(tmp_path))
    letter.refresh_from_db()
    assert letter.state == "REDRIVEN"
    assert bytes(OutboxEvent.objects.get(topic="market.ticks").body) == b"mended"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "needs an id"),
        (["show", "99999"], "no dead letter 99999"),
        (["list", "abc"], "is no id"),
        (["redrive", "{id}", "99999", "99990-99998", "--yes"], "no dead letter 99999, 99990-99998"),
        (["redrive", "{id}", "--topic", "audit.events", "--yes"], "no dead letter fits"),
        (["list", "9" * 19], "is no id"),
        (["discard", "{id}", "--yes"], "needs --because"),
        (["discard", "{id}", "--yes", "--because", "  "], "needs --because"),
        (["redrive", "{id}", "--yes", "--rate", "0"], "0 is no rate"),
        (["redrive", "{id}", "--yes", "--rate", "-1"], "-1 is no rate"),
        (["redrive", "{id}", "--yes", "--rate", "nan"], "nan is no rate"),
        (["redrive", "{id}", "--yes", "--rate", "inf"], "inf is no rate"),
        (["redrive", "{id}", "--yes", "--rate", "fast"], "fast is no rate"),
        (["redrive", "{id}", "--yes", "--file", "nowhere"], "no repaired body"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, said):
    letter = park(a_record())

    with pytest.raises(CommandError, match=said):
        command(*[text.format(id=letter.id) for text in arguments])
    letter.refresh_from_db()
    assert letter.state == "NEW"


@pytest.mark.django_db
def test_an_error_with_brackets_is_listed_as_it_is():
    park(a_record(), error="[/]")

    assert "[/]" in command("list")
