"""A new list in the middle of a position: the instrument has another token, and another instrument its old one."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from execution.models import Fill
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ, Tick
from marketdata.models import Instrument
from marketdata.reference import YESBANK_FILES
from marketdata.services.instruments import load
from portfolio.audit import books_differences
from strategies.loading import consequences_of
from strategies.models import Deployment
from tests.pipeline.hand import Hand, first_days, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
GIVEN = [Definition(name="guarded", strategy="guarded", instruments=("NSE:YESBANK",))]
OLD, NEW = 3050241, 4050241
HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
SWAPPED = f"{NEW},1,YESBANK,YES BANK,0,,0,0.01,1,EQ,NSE,NSE\n{OLD},2,ANOTHER,ANOTHER,0,,0,0.01,1,EQ,NSE,NSE\n"


@pytest.fixture(autouse=True)
def _own_strategies(settings) -> None:
    settings.STRATEGIES = Path(__file__).parent / "own"


def trades_of(fills) -> list[tuple[str, int, int, int]]:
    return [(str(fill.side), fill.quantity, fill.price_e4, fill.at_ms) for fill in fills]


def moved(item):
    """A tick of the share as the next day's feed brings it, and one of the instrument that has its token now."""
    if not isinstance(item, Tick):
        return [item]
    return [item._replace(price_e4=item.price_e4 // 2), item._replace(token=NEW)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_restarted", [False, True], ids=["at work", "restarted"])
def test_a_position_and_its_bracket_survive_that_their_instrument_has_another_token(
    monkeypatch, is_restarted
):
    recorded: Recording = recording(FILES, GIVEN)
    source = recorded.source()
    items = first_days(source.iter_from(), 1)
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source.source)
    expected = [row.fill for row in runs[0].account.journal.fills]
    with override_settings(SHARDS=1):
        seeded(GIVEN)
    entered_ms = expected[0].at_ms
    first = [item for item in items if item.at_ms <= entered_ms + 60_000]
    later = [one for item in items[len(first) :] for one in moved(item)]
    hand = Hand(packed(first, source=source.source, batch=50))
    hand.attach(monkeypatch)
    hand.run()
    before = consequences_of(Deployment.objects.get())
    assert before.positions.keys() == {OLD}

    assert load(StringIO(HEADER + SWAPPED), now=timezone.now()).touched
    if is_restarted:
        hand.shards = [hand.shard(0)]
    assert consequences_of(Deployment.objects.get()).positions == {NEW: before.positions[OLD]}
    hand.readers[0].values += packed(later, source=source.source + 1, batch=50)
    hand.run()

    row = Deployment.objects.get()
    assert (row.status, row.error) == (DeploymentStatus.RUNNING, "")
    found = Fill.objects.order_by("at_ms", "order__step", "order__ordinal", "number")
    assert trades_of(found) == trades_of(expected)
    assert {str(fill.instrument) for fill in found} == {"NSE:YESBANK"}
    assert books_differences().adds_up


@pytest.mark.django_db(transaction=True)
def test_an_instrument_that_lost_its_token_is_deaf_to_the_prices_of_the_new_owner(monkeypatch):
    recorded = recording(FILES, GIVEN)
    source = recorded.source()
    items = first_days(source.iter_from(), 1)
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source.source)
    entered_ms = runs[0].account.journal.fills[0].fill.at_ms
    first = [item for item in items if item.at_ms <= entered_ms + 60_000]
    with override_settings(SHARDS=1):
        seeded(GIVEN)
    hand = Hand(packed(first, source=source.source, batch=50))
    hand.attach(monkeypatch)
    hand.run()
    count = Fill.objects.count()
    held = consequences_of(Deployment.objects.get()).positions[OLD]

    load(StringIO(HEADER + SWAPPED.splitlines()[1] + "\n"), now=timezone.now())
    halved = [
        item._replace(price_e4=item.price_e4 // 2) if isinstance(item, Tick) else item for item in items
    ]
    hand.readers[0].values += packed(halved[len(first) :], source=source.source + 1, batch=50)
    hand.run()

    yesbank = Instrument.objects.get(tradingsymbol="YESBANK")
    row = Deployment.objects.get()
    assert row.status == DeploymentStatus.RUNNING, row.error
    assert Fill.objects.count() == count  # at half the price every stop would have been reached
    assert consequences_of(row).positions == {-yesbank.pk: held}
