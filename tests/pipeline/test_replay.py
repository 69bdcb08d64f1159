"""`manage.py replay`: the rows of a deployment, folded anew from the log at whatever moment somebody asks."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import override_settings

from alphapanda.proof.recorded import deployments_over
from alphapanda.replaying import NoReplay, replay
from marketdata.reference import YESBANK_FILES
from strategies.models import Deployment
from tests.pipeline.hand import INCARNATION, Hand, MemoryReader, first_days, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
ITEMS, MOMENTS = 1_200, 40


def at_hand(monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[bytes], Hand]:
    """A deployment by name, its log, and the hand that drives its pipeline."""
    [plan] = deployments_over(FILES)[:1]
    source = recording(FILES, [plan]).source()
    values = packed(first_days(source.iter_from(), 1)[:ITEMS], source=source.source, batch=37)
    with override_settings(SHARDS=1):
        seeded([plan])
    hand = Hand(values)
    hand.attach(monkeypatch)
    return plan.name, values, hand


@pytest.mark.django_db(transaction=True)
def test_it_agrees_after_every_link_of_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    name, values, hand = at_hand(monkeypatch)
    asked, ahead = 0, 0

    def settled(one: str, settle=hand.settle) -> None:
        nonlocal asked, ahead
        settle(one)
        if asked < MOMENTS:
            found = replay(name, reader=MemoryReader(values), incarnation=INCARNATION)
            assert (found.differences, found.first) == (0, [])
            row = Deployment.objects.get()
            asked, ahead = asked + 1, ahead + (row.consequences["matched_step"] > row.step)

    monkeypatch.setattr(Hand, "last", property(lambda own: (own.book, settled)))
    hand.run()

    assert asked > 5
    assert ahead > 1, "nothing was matched that the strategy had not seen yet"


@pytest.mark.django_db(transaction=True)
def test_it_is_refused_while_a_chain_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    name, values, hand = at_hand(monkeypatch)
    while not hand.rung and hand.shards[0].evaluate({0: len(values)}):
        pass

    with pytest.raises(NoReplay, match="is at work"):
        replay(name, reader=MemoryReader(values), incarnation=INCARNATION)


@pytest.mark.django_db(transaction=True)
def test_one_that_was_never_started_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name, values, hand = at_hand(monkeypatch)
    hand.run()
    Deployment.objects.update(group="shared")
    born = Deployment(strategy_version_id=Deployment.objects.get().strategy_version_id)
    born.id, born.name, born.broker, born.status, born.group = uuid4(), "Born", "paper", "STOPPED", "shared"
    born.save()

    found = replay(name, reader=MemoryReader(values), incarnation=INCARNATION)

    assert (found.deployments, found.differences) == ([name], 0)
    with pytest.raises(NoReplay, match="Born has read nothing yet"):
        replay("Born", reader=MemoryReader(values), incarnation=INCARNATION)
