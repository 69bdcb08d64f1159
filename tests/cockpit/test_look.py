"""How pages look is stored with the user and in the first paint."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Look, User
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
HEAD = 'data-theme="{}" data-palette="{}" data-density="{}"'


@pytest.fixture
def viewer() -> Client:
    return browser("viewer")


def head(client: Client, path: str = "/orders/") -> str:
    return client.get(path).content.decode().partition("<head>")[0]


def test_dark_is_the_default_and_a_choice_is_in_the_first_paint_of_every_page(viewer: Client) -> None:
    assert HEAD.format("dark", "usual", "usual") in head(viewer)
    chosen = {"theme": "light", "palette": "blue-orange", "density": "compact"}
    assert viewer.post("/look/", chosen).status_code == 302
    for path in ("/orders/", "/look/", "/risk/", "/health/"):
        assert HEAD.format("light", "blue-orange", "compact") in head(viewer, path)
    assert HEAD.format("auto", "usual", "usual") in head(Client(), "/login/")


def test_it_is_of_one_person_and_one_choice_leaves_the_others(viewer: Client) -> None:
    viewer.post("/look/", {"palette": "blue-orange"})
    viewer.post("/look/", {"theme": "auto"})
    assert HEAD.format("auto", "blue-orange", "usual") in head(viewer)
    assert HEAD.format("dark", "usual", "usual") in head(browser("operator"))
    assert Look.objects.get().user == User.objects.get(username="viewer")


def test_what_there_is_not_is_refused_in_words(viewer: Client) -> None:
    answer = viewer.post("/look/", {"theme": "pink"})
    assert answer.status_code == 400
    assert "pink is not one of the available choices" in answer.content.decode()
    assert not Look.objects.exists()
    assert viewer.get("/look/", headers=ROWS).json()["type"] in ("snapshot", "unavailable")
    assert Client().post("/look/", {"theme": "light"}).status_code == 302


def test_no_page_has_a_script_that_waits_before_the_paint(viewer: Client) -> None:
    page = viewer.get("/orders/").content.decode()
    assert "<script src" not in page
    assert 'id="theme" href="/look/"' in page
