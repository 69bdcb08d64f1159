"""A person who has never seen the product: from login to a strategy of their own on paper, its chart, its first fill
and the reason for that fill. Nobody types an address or reads documentation; no step takes more than two actions (a
link that is followed, a field that is filled, a button that is pressed; the login has its two fields besides)."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client, override_settings

from accounts.models import AuditEntry, User
from alphapanda import projections
from alphapanda.web.formats import price
from execution.models import Fill
from marketdata.reference import YESBANK_FILES
from portfolio.models import Book
from risk.models import LimitSet
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import browser
from tests.people import PASSWORD, a_person
from tests.pipeline.hand import Hand, first_days, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
ACTIONS_MAX = 2


class Page(HTMLParser):
    """The links of a page by their words, and its forms with what stands in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.links: list[tuple[str, str]] = []
        self.forms: list[dict[str, Any]] = []
        self._href = self._words = ""
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        given = dict(pairs)
        if tag == "a":
            self._href, self._words = given.get("href") or "", given.get("aria-label") or ""
        if tag == "form":
            self.forms.append({})
        if tag == "select" and self.forms:
            self._select = given.get("name") or ""
        if tag == "option" and self._select and "selected" in given:
            self.forms[-1][self._select] = given.get("value") or ""
        is_box = given.get("type") in ("checkbox", "radio")
        if tag == "input" and self.forms and given.get("name") and (not is_box or "checked" in given):
            self.forms[-1][given["name"]] = given.get("value") or ("on" if is_box else "")

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.links.append((" ".join(self._words.split()), self._href))
            self._href = self._words = ""
        if tag == "select":
            self._select = ""


class Person:
    """A browser without JavaScript, and how many actions the step has taken so far."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.actions = 0
        self.page = Page("")
        self.address = ""

    def step(self) -> None:
        assert self.actions <= ACTIONS_MAX
        self.actions = 0

    def comes(self, address: str) -> None:
        answer = self.client.get(address, follow=True)
        assert answer.status_code == 200, answer.content.decode()
        self.address = answer.redirect_chain[-1][0] if answer.redirect_chain else address
        self.page = Page(answer.content.decode())

    def follows(self, words: str) -> None:
        self.actions += 1
        found = [to for name, to in self.page.links if words in name]
        assert found, f"no link {words!r} on {self.address}: {[name for name, _ in self.page.links]}"
        self.comes(found[0])

    def sends(self, button: str, **typed: str) -> None:
        """The form that has the button's fields, with other values in some."""
        self.actions += 1 + len(typed)
        assert f">{button}</button>" in self.page.text
        [form] = [form for form in self.page.forms if set(typed) <= set(form)]
        answer = self.client.post(self.address, form | typed, follow=True)
        self.page = Page(answer.content.decode())
        assert answer.status_code == 200, re.findall('role="alert">([^<]+)<', self.page.text)
        self.address = answer.redirect_chain[-1][0]


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    source = recording(FILES, []).source()
    return packed(first_days(source.iter_from(), 1), source=source.source, batch=100)


def test_from_login_to_the_reason_for_the_first_fill(
    monkeypatch: pytest.MonkeyPatch, messages: list[bytes], settings: Any
) -> None:
    settings.FEED = "recorded"
    seeded([])
    a_person("alice", role="operator")
    projections.rebuild()
    person = Person()

    # 1. log in
    person.comes("/")
    person.client.post("/login/", person.page.forms[-1] | {"username": "alice", "password": PASSWORD})
    person.comes("/")
    assert "Next" in person.page.text

    # 2. find what can be run
    person.follows("Strategies")
    assert "Exponential-average cross" in person.page.text
    person.step()

    # 3. choose one
    person.follows("Deploy Exponential-average cross")
    assert 'name="params__fast"' in person.page.text
    person.step()

    # 4. let it run with a parameter of one's own
    with override_settings(SHARDS=1):
        person.sends("Deploy on paper", params__fast="5")
    made = Deployment.objects.get()
    assert (made.status, made.broker) == ("RUNNING", "paper")
    assert made.params["fast"] == 5
    assert "It runs on paper." in person.page.text
    person.step()

    hand = Hand(messages)
    hand.attach(monkeypatch)
    hand.run()
    projections.rebuild()

    # 5. its chart
    deployment_page = person.address
    person.follows("chart NSE:")
    assert person.address.startswith("/chart/NSE:")
    person.step()

    # 6. its first fill, from its own page
    person.comes(deployment_page)
    person.follows("fills")
    first = Fill.objects.filter(deployment=made).earliest("step")
    assert price(first.price_e4) in person.page.text
    person.step()

    # 7. why
    fills = [to for _, to in person.page.links if to == f"/fills/{first.id}/"]
    person.comes(fills[0])
    reason = first.order.decision.signal.reason
    assert "crossed slow" in reason
    assert reason in person.page.text


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
