"""Profit where a price is not known, as of what is held overnight before the first tick: a dash, never nought."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from alphapanda.push import readmodel
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
DASH = "\N{EN DASH}"


def held(*priced: str) -> Client:
    """INFY and RELIANCE are held; a last price is known of those that are named."""
    own = world.desk(count=2)
    for deployment in own.deployments:
        token_price = world.NAMES[deployment.instruments.get().tradingsymbol][1]
        world.trade(deployment, 60, Side.BUY, 100, token_price)
    projections.rebuild()
    prices = {world.NAMES[name][0]: world.NAMES[name][1] + 10_000 for name in priced}
    readmodel.marks_write({token: (price_e4, world.START) for token, price_e4 in prices.items()})
    return browser("viewer")


def told(viewer: Client, path: str, kind: str) -> list[str]:
    rows: dict[str, Any] = viewer.get(path, headers=ROWS).json()["rows"][kind]
    return [" ".join(strip_tags(row.replace("<", " <")).split()) for row in rows.values()]


def test_the_day_is_not_known_while_a_price_is_missing() -> None:
    viewer = held("INFY")
    (strip,) = told(viewer, "/", "strip")
    assert f"Day P&amp;L 1 without price {DASH}" in strip
    readmodel.marks_write({world.NAMES["RELIANCE"][0]: (world.NAMES["RELIANCE"][1], world.START)})
    (strip,) = told(viewer, "/", "strip")
    assert "Day P&amp;L +₹" in strip or "Day P&amp;L -₹" in strip


def test_a_sum_without_any_price_is_a_dash_and_one_without_some_is_marked() -> None:
    viewer = held()
    (tiles,) = told(viewer, "/", "tiles")
    assert f"Unrealised {DASH} *" in tiles
    assert all(f" {DASH} * " in row for row in told(viewer, "/positions/?view=strategy", "groups"))
    readmodel.marks_write({world.NAMES["INFY"][0]: (world.NAMES["INFY"][1] + 10_000, world.START)})
    (tiles,) = told(viewer, "/", "tiles")
    assert "Unrealised +₹100.00 *" in tiles


def test_a_deployment_that_holds_what_has_no_price_has_no_known_profit() -> None:
    rows = told(held("INFY"), "/", "deployments")
    assert [DASH in row.split("₹")[0] for row in rows] == [False, True]
