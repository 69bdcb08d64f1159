"""A deployment that raises: where it raised is told, wherever its checkpoint stands meanwhile."""

from __future__ import annotations

import json

import pytest
from django.test import override_settings
from django.utils import timezone
from structlog.testing import capture_logs

from accounts.models import AuditEntry
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.dashboard.biography import quarantines
from alphapanda.deploying import Definition
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.proof.recorded import deployments_over
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from strategies.models import Deployment
from strategies.services import lifecycle
from strategies.services.quarantine import quarantine
from strategies.services.shard import FAILURES_MAX, Shard
from tests.engine import libraries
from tests.pipeline.hand import Hand, packed, recording, seeded
from tests.rows import a_deployment

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
RAISES = """
from strategies.domain.base import Strategy


class Raises(Strategy):
    name = "raises"

    def on_tick(self, state, tick, view):
        if tick.at_ms >= {from_ms}:
            raise ValueError("no luck")
        return ()
"""


def _fall(monkeypatch: pytest.MonkeyPatch, parts: list[list[bytes]]) -> tuple[Deployment, AuditEntry]:
    """The deployment once the log has come in so many parts, with a checkpoint after each."""
    hand = Hand([])
    hand.attach(monkeypatch)
    for part in parts:
        hand.readers[0].values.extend(part)
        for _ in range(FAILURES_MAX):
            hand.run()
    fallen = AuditEntry.objects.filter(action="deployment.quarantine").latest("id")
    return Deployment.objects.get(), fallen


def test_it_raises_at_the_same_step_again_though_its_checkpoint_has_moved(monkeypatch):
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
    items = list(recording(FILES, deployments_over(FILES)).source().iter_from())[:400]
    path = libraries.drop("raises", RAISES.format(from_ms=items[200].at_ms))
    try:
        with override_settings(SHARDS=1):
            seeded([Definition(name="Raising", strategy="raises", instruments=("NSE:YESBANK",))])
        messages = packed(items, source=8, batch=50)
        first, fallen = _fall(monkeypatch, [messages])
        released = {"actor": "ann", "reason": "the weather", "now": timezone.now()}
        lifecycle.deployment_release_quarantine(deployment_id=first.id, **released)
        again, fallen_again = _fall(monkeypatch, [messages[:3], messages[3:]])
    finally:
        libraries.taken_away(path)

    assert (first.status, again.status) == (DeploymentStatus.QUARANTINED, DeploymentStatus.QUARANTINED)
    assert again.step > first.step
    raised = [one.details["raised_step"] for one in (fallen, fallen_again)]
    assert raised[0] == raised[1] > again.step
    (told,) = quarantines(again).values()
    assert (told["step"], told["raised_step"]) == (again.step, raised[0])
    assert told["released"]["why"] == "the weather"


UNSTORABLE = """
from collections import deque
from typing import Any

import msgspec
from strategies.domain.base import Strategy


class Hoards(Strategy):
    name = "hoards"

    class State(msgspec.Struct):
        seen: Any = None
        last: int = 0

    def on_tick(self, state, tick, view):
        {hoard}
        return ()
"""


@pytest.mark.parametrize(
    ("hoard", "told"),
    [
        ("state.seen = deque([tick.price_e4])", "State cannot be stored: seen: Encoding objects of type"),
        ("state.last = 2**70", "State cannot be stored: last: can't serialize ints"),
        ("state.last = None", "State could not be taken up again: Expected `int`, got `null` - at `$.last`"),
    ],
)
def test_a_memory_that_cannot_be_stored_costs_its_deployment_only(monkeypatch, hoard, told):
    """What all of the shard have come to is stored together: it would hold up the others for ever."""
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
    items = list(recording(FILES, deployments_over(FILES)).source().iter_from())[:400]
    path = libraries.drop("hoards", UNSTORABLE.format(hoard=hoard))
    try:
        with override_settings(SHARDS=1):
            hoards = Definition(name="Hoarding", strategy="hoards", instruments=("NSE:YESBANK",))
            seeded([*deployments_over(FILES), hoards])
        hand = Hand(packed(items, source=8, batch=50))
        hand.attach(monkeypatch)
        hand.run()
    finally:
        libraries.taken_away(path)

    rows = {row.name: row for row in Deployment.objects.all()}
    fallen = rows.pop("Hoarding")
    assert (fallen.status, fallen.step) == (DeploymentStatus.QUARANTINED, 0)
    assert told in fallen.error
    assert {row.seq for row in rows.values()} == {FIRST_SEQ + 399}


@pytest.mark.parametrize(
    ("status", "way"),
    [("QUARANTINED", "Release it, once it is mended"), ("STOPPED", "Start it[.]$")],
)
def test_who_asks_one_that_reads_nothing_is_told_the_way_on(status, way):
    resting = a_deployment(status=status)

    with pytest.raises(lifecycle.IllegalTransition, match=f"for it reads nothing. {way}"):
        lifecycle.deployment_exit(
            deployment_id=resting.id, instrument="NSE:INFY", actor="ann", reason="out", now=timezone.now()
        )


def test_the_line_of_the_log_begins_with_what_was_wrong():
    deployment = a_deployment()
    error = f"did not come back within 20 s, twice; its process was ended\n{'  in on_tick' * 300}\nthe end"

    with capture_logs() as lines:
        assert quarantine(deployment_id=deployment.pk, error=error)

    [line] = [line for line in lines if line["event"] == "strategies.deployment.quarantined"]
    told = OutboxEvent.objects.get(type="deployment.quarantined").body
    for said, room in ((line["error"], 600), (json.loads(bytes(told))["data"]["error"], 2000)):
        assert said.startswith("did not come back within 20 s, twice; its process was ended\n…")
        assert said.endswith("the end")
        assert len(said) <= room
