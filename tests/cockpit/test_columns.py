"""Which columns a person sees of a table: kept with the user, the same rows for everybody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Look
from alphapanda import projections
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import columns
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
PLACES = {
    "/positions/": "positions", "/positions/?view=day": "traded", "/orders/": "orders",
    "/fills/": "fills", "/signals/": "signals", "/journal/": "trips", "/strategies/": "traders", "/risk/": "limits",
    "/health/": "checks",
}  # fmt: skip


def shown(kind: str, *but: str) -> list[str]:
    return [one.name for one in columns.of_kind(kind) if one.name not in but]


def table(client: Client, path: str, kind: str) -> str:
    found = re.search(rf'<table class="({kind}[^"]*)">', client.get(path).content.decode())
    assert found, path
    return found[1]


def test_each_table_has_its_menu_and_hides_what_is_not_wanted_at_first_paint() -> None:
    viewer, other = browser("viewer"), browser("operator")
    for path, kind in PLACES.items():
        *_, last = columns.of_kind(kind)
        page = viewer.get(path).content.decode()
        assert all(
            f'value="{one.name}" data-column="{one.number}" checked' in page for one in columns.of_kind(kind)
        )
        answer = viewer.post("/look/columns/", {"kind": kind, "shown": shown(kind, last.name), "next": path})
        assert (answer.status_code, answer.headers["Location"]) == (302, path)
        assert table(viewer, path, kind) == f"{kind} no-{last.number}"
        assert table(other, path, kind) == kind
        assert f'data-column="{last.number}">' in viewer.get(path).content.decode()
        assert "1 hidden" in viewer.get(path).content.decode()
    assert set(Look.objects.get().hidden) == set(columns.CHOSEN)


def test_the_page_of_a_past_moment_keeps_the_choice() -> None:
    viewer = browser("viewer")
    viewer.post("/look/columns/", {"kind": "orders", "shown": shown("orders", "why"), "next": "/orders/"})
    assert table(viewer, "/orders/?at=2026-11-01T10:00:00", "orders") == "orders no-8"


def test_rows_are_the_same_whatever_is_hidden() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 10, 15_000_000)
    world.posted()
    projections.rebuild()
    viewer = browser("viewer")
    before = viewer.get("/fills/", headers=ROWS).json()["rows"]["fills"]
    viewer.post("/look/columns/", {"kind": "fills", "next": "/fills/"})
    (row,) = before.values()
    assert viewer.get("/fills/", headers=ROWS).json()["rows"]["fills"] == before
    assert row in viewer.get("/fills/").content.decode()
    assert table(viewer, "/fills/", "fills") == "fills no-2 no-3 no-4 no-5 no-6 no-7"
    assert row.count("<td") == 7


def test_what_leads_on_and_the_exit_are_never_hidden_and_every_other_place_can_be() -> None:
    style = (Path(settings.BASE_DIR) / "static/css/columns.css").read_text()
    for kind in columns.CHOSEN:
        names = [one.name for one in columns.of_kind(kind)]
        numbers = [one.number for one in columns.of_kind(kind)]
        assert len(set(names)) == len(names)
        assert not {"acts", "cancel", "exit"} & set(names)
        assert min(numbers) == 2
        assert all(f"table.no-{number} tr > :nth-child({number})" in style for number in numbers)


def test_what_there_is_not_is_refused_and_nobody_is_led_away() -> None:
    viewer = browser("viewer")
    for given in ({"kind": "pink"}, {"kind": "orders", "shown": ["pink"]}, {}):
        answer = viewer.post("/look/columns/", given)
        assert answer.status_code == 400
        assert "There is no such table or column" in answer.content.decode()
    assert not Look.objects.exists()
    led = viewer.post("/look/columns/", {"kind": "orders", "next": "https://elsewhere.example/"})
    assert led.headers["Location"] == "/look/"
    assert viewer.get("/look/columns/").status_code == 405
    assert Client().post("/look/columns/", {"kind": "orders"}).headers["Location"].startswith("/login/")
