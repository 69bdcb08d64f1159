"""Pages that are shown anew, as a whole, when what they tell of has changed."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from execution.models import Fill
from portfolio.models import Posting
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.cockpit.test_performance import entry

pytestmark = pytest.mark.django_db


def stands(viewer: Client, path: str) -> str:
    """The word of a page, which must be that of its reading."""
    (shown,) = re.findall(r'data-stands="([^"]+)"', viewer.get(path).content.decode())
    assert viewer.get(path, headers=ROWS).json()["stands"] == shown
    return shown


def test_performance_after_each_booking() -> None:
    own, viewer = world.desk(count=1), browser("viewer")
    projections.rebuild()
    words = [stands(viewer, "/performance/")]
    for number in (1, 2):
        entry(own, number, "CHARGES:stt", "40", world.START)
        words.append(stands(viewer, "/performance/"))
    assert len({*words}) == 3
    assert stands(viewer, "/performance/?first=2019-07-10") == words[0]


def test_a_trade_of_the_journal_after_each_fill() -> None:
    own, viewer = world.desk(count=1), browser("viewer")
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    path, words = f"/journal/{Fill.objects.get().pk}/", []  # a trade is called by its first fill
    for second in (70, 80):
        world.trade(own.deployments[0], second, Side.SELL, 50, 15_050_000)
        world.posted(but=Posting.objects.values_list("fill_id", flat=True))
        projections.rebuild()
        words.append(stands(viewer, path))
    assert len({*words}) == 2
