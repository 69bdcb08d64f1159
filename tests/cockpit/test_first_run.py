"""The form with which a person lets a strategy run on paper that they have found in the gallery. The way there, and
from there to the reason for the first fill, is walked in tests/browser/test_with_workers.py."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from alphapanda import projections
from portfolio.models import Book
from risk.models import LimitSet
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import browser

pytestmark = pytest.mark.django_db(transaction=True)


class Page(HTMLParser):
    """The forms of a page with what stands in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        given = dict(pairs)
        if tag == "form":
            self.forms.append({})
        if tag == "select" and self.forms:
            self._select = given.get("name") or ""
        if tag == "option" and self._select and "selected" in given:
            self.forms[-1][self._select] = given.get("value") or ""
        is_box = given.get("type") in ("checkbox", "radio")
        if tag == "input" and self.forms and given.get("name") and (not is_box or "checked" in given):
            self.forms[-1][given["name"]] = given.get("value") or ("on" if is_box else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


@pytest.fixture
def form() -> dict[str, str]:
    """The form of a strategy as it comes, with somebody's own parameter."""
    world.desk(count=1)
    projections.rebuild()
    page = Page(browser("operator").get("/strategies/deploy/ema_cross/").content.decode())
    [found] = [form for form in page.forms if "params__fast" in form]
    return found | {"params__fast": "7"}


def posted(role: str, form: dict[str, str]) -> Any:
    client = Client()
    client.force_login(browser_user(role))
    return client.post("/strategies/deploy/ema_cross/", form)


def browser_user(role: str) -> User:
    if not User.objects.filter(username=role).exists():
        browser(role)
    return User.objects.get(username=role)


def test_every_field_has_a_default_and_the_form_is_what_is_made(form: dict[str, str]) -> None:
    assert posted("operator", form).status_code == 302
    made = Deployment.objects.latest("created_at")
    assert [str(one) for one in made.instruments.all()] == ["NSE:INFY"]
    assert made.name == "ema_cross on INFY"  # its title in this world
    assert Book.objects.get(pk=made.pk).portfolio.name == "paper main"
    limits = LimitSet.objects.get(deployment=made)
    assert (limits.order_quantity, limits.daily_orders, limits.daily_loss) == (500, 60, 5000)
    acts = AuditEntry.objects.filter(target=f"deployment:{made.name}").values_list("action", flat=True)
    assert sorted(acts) == ["deployment.add", "deployment.start"]


def test_sent_twice_it_is_one_deployment_and_another_of_the_name_is_refused(form: dict[str, str]) -> None:
    first, again = posted("operator", form), posted("operator", form)
    assert first["Location"] == again["Location"]
    assert Deployment.objects.filter(strategy_version__strategy__name="ema_cross").count() == 2
    other = posted("operator", form | {"params__fast": "8"})
    assert other.status_code == 400
    assert "a deployment of that name already" in other.content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"params__fast": "30"}, "`fast` must be below `slow`"),
        ({"params__fast": "many"}, "is not a whole number"),
        ({"instruments": "NSE:NOSUCH"}, "no instrument NSE:NOSUCH"),
        ({"instruments": "INFY"}, "is no EXCHANGE:SYMBOL"),
        ({"daily_orders": "0"}, "greater than or equal to 1"),
        ({"product": "BAD"}, "not one of the available choices"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_made(
    form: dict[str, str], wrong: dict[str, str], words: str
) -> None:
    answer = posted("operator", form | wrong)
    assert answer.status_code == 400
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert Deployment.objects.count() == 1


def test_it_may_be_born_stopped_and_only_an_operator_may(form: dict[str, str]) -> None:
    assert posted("viewer", form).status_code == 403
    del form["starts"]
    posted("operator", form)
    assert Deployment.objects.latest("created_at").status == "STOPPED"
    assert browser_client().get("/strategies/deploy/nosuch/").status_code == 404


def browser_client() -> Client:
    client = Client()
    client.force_login(browser_user("operator"))
    return client


def test_the_gallery_tells_what_each_takes() -> None:
    page = browser("viewer").get("/strategies/").content.decode()
    assert "Exponential-average cross" in page
    assert "values of the fast average" in page
    assert 'href="/strategies/deploy/' not in page  # a viewer may not
