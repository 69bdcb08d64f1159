"""Deployments from definitions: what could not be carried out later is refused when it is written down."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Product
from alphapanda.deploying import BadDefinition, Definition
from strategies.models import Deployment
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db


def created(
    *instruments: str, portfolio_id: UUID | None = None, product: Product = Product.MIS, name: str = "one"
) -> Deployment:
    definition = Definition(name=name, strategy="ema_cross", instruments=instruments, product=product)
    portfolio_id = portfolio_id or deploying.portfolio_of(Broker.PAPER, starting_cash=Decimal(1))
    return deploying.create(definition, portfolio_id=portfolio_id, status=DeploymentStatus.STOPPED)


def file_of(tmp_path: Path, *names: str, **changes: Any) -> Path:
    entry = {"strategy": "ema_cross", "instruments": ["NSE:INFY"]} | changes
    path = tmp_path / "deployments.json"
    path.write_text(json.dumps([{"name": name} | entry for name in names]))
    return path


@pytest.mark.parametrize("name", ["", "  ", " one", "a" * 81, "one\0", "one\ntwo"])
def test_a_name_that_could_not_be_kept_or_read_is_refused(name: str, tmp_path: Path):
    with pytest.raises(BadDefinition, match="1 to 80 printable characters"):
        deploying.read(file_of(tmp_path, name))
    with pytest.raises(BadDefinition, match="1 to 80 printable characters"):
        created(str(an_instrument()), name=name)


def test_a_file_defines_a_name_once_and_every_deployment_has_instruments(tmp_path: Path):
    with pytest.raises(BadDefinition, match="one is defined twice"):
        deploying.read(file_of(tmp_path, "one", "two", "one"))
    twice = tmp_path / "twice.json"
    twice.write_text(file_of(tmp_path, "one").read_text().replace('"strategy"', '"name": "two", "strategy"'))
    with pytest.raises(BadDefinition, match=r"twice\.json: field 'name' is named twice"):
        deploying.read(twice)
    with pytest.raises(BadDefinition, match="one: instruments: name at least one"):
        deploying.read(file_of(tmp_path, "one", instruments=[]))
    assert len(deploying.read(file_of(tmp_path, "one", "a" * 80))) == 2


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, False),
        ({"limits": {"order_quantity": 7}}, False),
        ({"params": {"fast": 3}}, True),
        ({"instruments": ["NSE:SBIN"]}, True),
        ({"strategy": "donchian"}, True),
        ({"execution": {"slippage_bps": 9}}, True),
        ({"product": "CNC"}, True),
    ],
)
def test_an_entry_changed_under_a_known_name_changes_nothing_and_is_told(
    changes: dict[str, Any], is_told: bool, tmp_path: Path
):
    an_instrument()
    an_instrument(tradingsymbol="SBIN", instrument_token=7)
    call_command("seed", deployments=str(file_of(tmp_path, "one")), stdout=io.StringIO())
    before = Deployment.objects.values().get()
    out = io.StringIO()

    call_command("seed", deployments=str(file_of(tmp_path, "one", **changes)), stdout=out)

    assert ("one: there already and otherwise defined" in " ".join(out.getvalue().split())) is is_told
    assert Deployment.objects.values().get() == before


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
    index = an_instrument(tradingsymbol="NIFTY 50", instrument_token=6, segment="INDICES", lot_size=0)
    both = ("NFO:NIFTY25DECFUT", str(index))  # what it settles on is never traded
    assert created(*both, product=Product.NRML).execution == {"product": "NRML"}


def test_an_index_alone_is_refused_for_nothing_of_it_can_be_traded():
    index = an_instrument(tradingsymbol="NIFTY 50", instrument_token=6, segment="INDICES", lot_size=0)

    with pytest.raises(BadDefinition, match="NSE:NIFTY 50 is an index and cannot be traded"):
        created(str(index))
    assert not Deployment.objects.exists()


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


@pytest.mark.parametrize("odd", ["", "INFY", "NSE:", ":INFY", "NSE:INFY\0"])
def test_an_instrument_is_named_by_its_exchange_and_symbol(tmp_path: Path, odd: str):
    with pytest.raises(BadDefinition, match=r"is no EXCHANGE:SYMBOL such as NSE:INFY"):
        deploying.read(file_of(tmp_path, "one", instruments=["NSE:INFY", odd]))


def test_instruments_of_two_partitions_are_refused():
    an_instrument(tradingsymbol="A", instrument_token=1, partition=0)
    an_instrument(tradingsymbol="B", instrument_token=2, partition=1)

    with pytest.raises(BadDefinition, match="one partition of the log"):
        created("NSE:A", "NSE:B")
