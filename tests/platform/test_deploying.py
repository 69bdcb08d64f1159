"""Deployments from definitions: what could not be carried out later is refused when it is written down."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Product
from alphapanda.deploying import BadDefinition, Definition
from strategies.models import Deployment
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db


def created(
    *instruments: str, portfolio_id: UUID | None = None, product: Product = Product.MIS
) -> Deployment:
    definition = Definition(name="one", strategy="ema_cross", instruments=instruments, product=product)
    portfolio_id = portfolio_id or deploying.portfolio_of(Broker.PAPER, starting_cash=Decimal(1))
    return deploying.create(definition, portfolio_id=portfolio_id, status=DeploymentStatus.STOPPED)


def test_an_instrument_without_charges_is_refused():
    an_instrument(exchange="NCDEX", tradingsymbol="GUAR", segment="NCDEX")

    with pytest.raises(BadDefinition, match=r"one: NCDEX:GUAR: EQ on NCDEX is of no segment"):
        created("NCDEX:GUAR")
    assert not Deployment.objects.exists()


def test_a_product_that_the_segment_does_not_know_is_refused():
    an_instrument(
        exchange="NFO", tradingsymbol="NIFTY25DECFUT", instrument_token=5, instrument_type="FUT", lot_size=75
    )

    with pytest.raises(BadDefinition, match="CNC is no product of FUTURES"):
        created("NFO:NIFTY25DECFUT", product=Product.CNC)
    with pytest.raises(BadDefinition, match="NRML is no product of EQUITY"):
        created(str(an_instrument()), product=Product.NRML)
    assert created("NFO:NIFTY25DECFUT", product=Product.NRML).execution == {"product": "NRML"}


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind"),
    [("MCX", "LEADMINI17DECFUT", "FUT"), ("CDS", "USDINR17DECFUT", "FUT"), ("CDS", "USDINR17DEC65CE", "CE")],
)
def test_a_contract_whose_lot_is_not_known_in_units_is_refused(exchange, symbol, kind):
    an_instrument(exchange=exchange, tradingsymbol=symbol, instrument_type=kind, lot_size=1)

    with pytest.raises(BadDefinition, match="how many units a lot holds"):
        created(f"{exchange}:{symbol}")


def test_an_instrument_that_is_not_there_is_refused():
    with pytest.raises(BadDefinition, match="load its list with"):
        created("NSE:NOSUCH")


def test_instruments_of_two_partitions_are_refused():
    an_instrument(tradingsymbol="A", instrument_token=1, partition=0)
    an_instrument(tradingsymbol="B", instrument_token=2, partition=1)

    with pytest.raises(BadDefinition, match="one partition of the log"):
        created("NSE:A", "NSE:B")
