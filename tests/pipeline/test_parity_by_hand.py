"""The pipeline's services, turned by hand, give the rows of the backtest whatever the batching and the deaths."""

from __future__ import annotations

import pytest
from django.test import override_settings

from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from marketdata.reference import YESBANK_FILES
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]


@pytest.fixture(scope="module")
def expected():
    recorded = recording(FILES, deployments_over(FILES))
    source = recorded.source()
    return source, parity.of_accounts([run.account for run in recorded.backtest(source)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("shards", "batch"), [(1, 2000), (2, 37)])
def test_rows_equal_the_backtest(monkeypatch, expected, shards, batch):
    source, rows = expected
    with override_settings(SHARDS=shards):
        seeded(deployments_over(FILES))
    hand = Hand(packed(source.iter_from(), source=source.source, batch=batch), shards=shards)
    hand.attach(monkeypatch)

    hand.run()

    count, first = parity.compare(rows, parity.of_database())
    assert (count, first) == (0, [])
