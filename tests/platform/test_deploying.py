"""Deployments from definitions: what could not be carried out later is refused when it is written down."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, DeploymentStatus
from alphapanda.deploying import BadDefinition, Definition
from strategies.models import Deployment
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db


def created(*instruments: str, portfolio_id: UUID | None = None) -> Deployment:
    definition = Definition(name="one", strategy="ema_cross", instruments=instruments)
    portfolio_id = portfolio_id or deploying.portfolio_of(Broker.PAPER, starting_cash=Decimal(1))
    return deploying.create(definition, portfolio_id=portfolio_id, status=DeploymentStatus.STOPPED)


def test_an_instrument_without_charges_is_refused():
    an_instrument(exchange="NCDEX", tradingsymbol="GUAR", segment="NCDEX")

    with pytest.raises(
        BadDefinition, match=r"one: NCDEX:GUAR: the card of .* has no rates for EQUITY NCDEX MIS"
    ):
        created("NCDEX:GUAR")
    assert not Deployment.objects.exists()


def test_an_instrument_that_is_not_there_is_refused():
    with pytest.raises(BadDefinition, match="load its list with"):
        created("NSE:NOSUCH")


def test_instruments_of_two_partitions_are_refused():
    an_instrument(tradingsymbol="A", instrument_token=1, partition=0)
    an_instrument(tradingsymbol="B", instrument_token=2, partition=1)

    with pytest.raises(BadDefinition, match="one partition of the log"):
        created("NSE:A", "NSE:B")
