"""A shard over a real database and a log in memory: what it does when something no longer fits."""

from __future__ import annotations

import msgspec
import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.envelope import decode
from alphapanda.core.vocabulary import CommandKind, DeploymentStatus
from alphapanda.eventlog import cursors
from alphapanda.eventlog.models import LogCursor, OutboxEvent
from alphapanda.proof.recorded import deployments_over
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from strategies.models import Deployment
from strategies.services import checkpoints, lifecycle
from strategies.services.quarantine import quarantine
from strategies.services.shard import Shard
from strategies.services.sharding import deployments_reshard
from tests.pipeline.hand import TOPIC, Hand, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
ACT = {"actor": "alice", "reason": "drill"}


@pytest.fixture(scope="module")
def items():
    return list(recording(FILES, deployments_over(FILES)).source().iter_from())


def hand_over(monkeypatch, messages, *, shards: int = 1) -> Hand:
    with override_settings(SHARDS=shards):
        seeded(deployments_over(FILES))
    hand = Hand(messages, shards=shards)
    hand.attach(monkeypatch)
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
    return hand


def one(name: str = "Trend on NSE:YESBANK") -> Deployment:
    return Deployment.objects.get(name=name)


@pytest.mark.parametrize(
    "checkpoint", [b"\xc1", msgspec.msgpack.encode({"step": 3, "strategy": {"prices": 7}})]
)
def test_a_checkpoint_that_does_not_fit_quarantines_its_deployment_only(monkeypatch, items, checkpoint):
    hand = hand_over(monkeypatch, packed(items[:400], source=8, batch=50))
    Deployment.objects.filter(name="Reversion on NSE:YESBANK").update(checkpoint=checkpoint)

    hand.run()

    bad = one("Reversion on NSE:YESBANK")
    assert (bad.status, bytes(bad.checkpoint)) == (DeploymentStatus.QUARANTINED, checkpoint)
    assert "checkpoint does not fit mean_reversion" in bad.error
    assert one().seq == FIRST_SEQ + 399
    assert OutboxEvent.objects.filter(type="deployment.quarantined").count() == 1


def test_a_row_that_makes_no_deployment_costs_itself_only(monkeypatch, items):
    hand = hand_over(monkeypatch, packed(items[:400], source=8, batch=50))
    bad = one("Reversion on NSE:YESBANK")
    Deployment.objects.filter(id=bad.id).update(execution={"product": "SWAP"})

    hand.run()

    bad.refresh_from_db()
    assert bad.status == DeploymentStatus.QUARANTINED
    assert "'SWAP' is not a valid Product" in bad.error
    assert one().seq == FIRST_SEQ + 399


def test_a_source_counts_from_its_own_beginning(monkeypatch, items):
    """Else the feed would start a second recording, on a new log, where the first one ended."""
    hand = hand_over(
        monkeypatch, packed(items[:300], source=8, batch=50) + packed(items[300:350], source=5, batch=50)
    )

    hand.run()

    assert {(row.source, row.seq) for row in Deployment.objects.all()} == {(5, FIRST_SEQ + 49)}
    assert cursors.slowest(TOPIC, source=5) == {0: FIRST_SEQ + 49}
    assert cursors.slowest(TOPIC, source=8) == {0: 0}


def test_deployments_on_two_sources_hold_back_both(monkeypatch, items):
    hand = hand_over(monkeypatch, packed(items[:100], source=8, batch=50))
    hand.run()
    Deployment.objects.filter(name=one().name).update(source=5, seq=70)

    hand.shards = [hand.shard(0)]
    hand.run()

    assert cursors.slowest(TOPIC, source=8) == cursors.slowest(TOPIC, source=5) == {0: 0}


def test_fewer_shards_leave_no_deployment_and_no_cursor_behind(monkeypatch, items):
    hand = hand_over(monkeypatch, packed(items[:200], source=8, batch=50), shards=3)
    hand.run()
    before = {row.name: row.revision for row in Deployment.objects.all()}

    with override_settings(SHARDS=1):
        assert deployments_reshard() == 2
        assert deployments_reshard() == 0

    assert set(Deployment.objects.values_list("shard", flat=True)) == {0}
    assert sorted(row.revision - before[row.name] for row in Deployment.objects.all()) == [0, 1, 1]
    assert set(LogCursor.objects.values_list("consumer", flat=True)) == {"strategies.0"}


def test_a_worker_that_lost_the_race_tells_nothing_of_what_it_did_not_store(monkeypatch, items):
    hand = hand_over(monkeypatch, packed(items[:400], source=8, batch=50))
    Deployment.objects.exclude(name=one().name).update(status=DeploymentStatus.STOPPED)
    (shard,) = hand.shards
    shard.evaluate({0: 1})
    stored = one()
    monkeypatch.setattr(shard, "_refresh", lambda: None)
    lifecycle.deployment_pause(deployment_id=stored.id, now=timezone.now(), **ACT)

    shard.evaluate({0: 8})

    assert one().seq == stored.seq
    assert LogCursor.objects.get().seq == stored.seq


def test_a_zombie_can_neither_store_nor_quarantine(monkeypatch, items):
    hand = hand_over(monkeypatch, packed(items[:400], source=8, batch=50))
    (zombie,) = hand.shards
    zombie.evaluate({0: 1})
    runner = zombie.runners[one().id]
    hand.shards = [hand.shard(0)]
    hand.run()
    after = one()

    assert checkpoints.store([runner], now=timezone.now()) == [runner]
    assert not quarantine(deployment_id=after.id, error="old", revision=runner.revision)
    lifecycle.deployment_stop(deployment_id=after.id, now=timezone.now(), **ACT)
    assert not quarantine(deployment_id=after.id, error="late")

    found = one()
    assert (found.seq, found.status, found.error) == (after.seq, DeploymentStatus.STOPPED, "")


def test_a_command_that_wishes_nothing_is_carried_out_once(monkeypatch, items):
    """It is stored with the next checkpoint, and looked for more often: a step too many would move all ids."""
    hand = hand_over(monkeypatch, packed(items[:50], source=8, batch=50))
    hand.run()
    (shard,) = hand.shards
    before = one()
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: False)
    monkeypatch.setattr(Shard, "_is_refresh_due", lambda _shard: True)
    command = lifecycle.command_give(
        deployment=before, kind=CommandKind.CANCEL, reason="drill", actor="alice"
    )
    for _ in range(3):
        shard.evaluate({})
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
    shard.evaluate({})

    command.refresh_from_db()
    assert (one().step, command.step) == (before.step + 1, before.step + 1)


@pytest.mark.parametrize(("feed", "seq"), [("recorded", FIRST_SEQ + 399), ("kite", -1)])
def test_a_new_deployment_reads_a_recording_whole_and_of_a_market_what_comes(
    monkeypatch, settings, items, feed, seq
):
    settings.FEED = feed
    hand = hand_over(monkeypatch, packed(items[:400], source=8, batch=50))

    hand.run()

    assert {row.seq for row in Deployment.objects.all()} == {seq}
    if feed == "kite":
        hand.readers[0].values += packed(items[:450], source=8, batch=50)[8:]
        hand.run()
        assert {row.seq for row in Deployment.objects.all()} == {FIRST_SEQ + 449}


@pytest.mark.parametrize("is_read", [True, False])
def test_what_the_log_has_dropped_is_told_and_passed(monkeypatch, items, is_read):
    """Whether the gap is found by the next poll or by a worker that starts."""
    messages = packed(items[:400], source=8, batch=50)
    hand = hand_over(monkeypatch, messages[:3])
    hand.run()
    (shard,), (reader,) = hand.shards, hand.readers
    reader.values, reader.low = messages, 6
    hand.shards = [shard if is_read else hand.shard(0)]

    hand.run()
    hand.run()

    assert {row.seq for row in Deployment.objects.all()} == {FIRST_SEQ + 399}
    assert {row.offset for row in Deployment.objects.all()} == {8}
    (gap,) = OutboxEvent.objects.filter(type="log.gap")
    _, told = decode(bytes(gap.body))
    assert (told.consumer, told.wanted, told.resumed) == ("strategies.0", 3, 6)
