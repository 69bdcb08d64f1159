"""Two people, one form: what the second would undo unseen is refused. And what no form may change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import ProgrammingError, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import User
from alphapanda.core.vocabulary import Broker
from marketdata.models import Holiday
from portfolio.models import Book, Portfolio
from portfolio.services import portfolio_create
from risk.models import LimitSet
from strategies.models import Deployment, Strategy
from tests.people import a_person
from tests.rows import a_book, a_deployment

pytestmark = pytest.mark.django_db


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def desk() -> Client:
    return logged_in(User.objects.create_superuser("alice", password="x" * 20))


def page(model: type, name: str, *parts: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=parts)


def opened(desk: Client, row: Any) -> dict[str, Any]:
    """All that a browser would post of the form of a row."""
    context = desk.get(page(type(row), "change", row.pk)).context
    form = context["adminform"].form
    stored = {name: form.initial.get(name) for name in form.fields}
    filled = {name: value for name, value in stored.items() if value not in (None, False)}
    return {**filled, "_as_read": context["as_read"]}


def test_limits_that_somebody_has_changed_meanwhile_are_not_undone(desk: Client):
    row = LimitSet.objects.create(level="GLOBAL", daily_loss=5000, daily_orders=100)
    stale = opened(desk, row) | {"daily_orders": "50", "restricted": "", "allowed": "", "products": ""}
    LimitSet.objects.filter(pk=row.pk).update(daily_loss=2000)

    answers = [
        desk.post(page(LimitSet, "change", row.pk), stale | more, follow=True)
        for more in ({}, {"_confirmed": "yes"})
    ]

    row.refresh_from_db()
    assert (row.daily_loss, row.daily_orders) == (2000, 100)
    for answer in answers:
        assert "Somebody has changed GLOBAL since you opened it" in answer.content.decode()
    fresh = opened(desk, row) | {"daily_orders": "50", "restricted": "", "allowed": "", "products": ""}
    desk.post(page(LimitSet, "change", row.pk), fresh | {"_confirmed": "yes"})
    row.refresh_from_db()
    assert (row.daily_loss, row.daily_orders) == (2000, 50)


def test_a_form_that_did_not_fit_still_knows_what_it_was_opened_with(desk: Client):
    row = Holiday.objects.create(exchange="NSE", date="2026-12-25", name="Xmas")
    read = opened(desk, row)
    Holiday.objects.filter(pk=row.pk).update(name="Christmas Day")

    wrong = {"exchange": "NSE", "date": "no day", "name": "X", "_as_read": read["_as_read"]}
    refused = desk.post(page(Holiday, "change", row.pk), wrong, follow=True)
    opened(desk, row)
    desk.post(page(Holiday, "change", row.pk), wrong | {"date": "2026-12-24"})

    row.refresh_from_db()
    assert "Somebody has changed" in refused.content.decode()
    assert (row.name, str(row.date)) == ("Christmas Day", "2026-12-25")


def test_parameters_of_a_deployment_are_told_too(desk: Client):
    deployment = a_deployment(status="STOPPED")
    read = desk.get(page(Deployment, "change", deployment.pk)).context["as_read"]
    Deployment.objects.filter(pk=deployment.pk).update(execution={"product": "CNC"})

    said = {"params": "{}", "execution": '{"product": "MIS"}', "_as_read": read}
    answer = desk.post(page(Deployment, "change", deployment.pk), said, follow=True)

    deployment.refresh_from_db()
    assert deployment.execution == {"product": "CNC"}
    assert "Somebody has changed" in answer.content.decode()


def test_who_logs_in_while_the_form_is_open_is_no_change(desk: Client):
    bob = a_person("bob", role="viewer")
    read = desk.get(page(User, "change", bob.pk)).context["as_read"]
    logged_in(bob)
    asked = {
        "username": "bob",
        "first_name": "Robert",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }

    desk.post(page(User, "change", bob.pk), asked | {"_as_read": read})

    assert User.objects.get(username="bob").first_name == "Robert"


def test_a_portfolio_keeps_its_side_though_its_name_is_given_to_another(desk: Client):
    live = portfolio_create(name="Main", broker=Broker.ZERODHA, starting_cash=Decimal(7))
    desk.post(page(Portfolio, "change", live.pk), {"name": "Main, live"})

    answer = desk.post(page(Portfolio, "add"), {"name": "Main", "broker": "paper", "starting_cash": "5"})

    live.refresh_from_db()
    assert (live.name, live.broker, live.starting_cash) == ("Main, live", "zerodha", 7)
    assert "Main, live was made under this name" in answer.content.decode()
    for change in ({"broker": "paper"}, {"starting_cash": 5}):
        with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
            Portfolio.objects.update(**change)
    a_book(a_deployment())
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Book.objects.update(broker="zerodha")


def test_a_strategy_keeps_the_name_by_which_deployments_load_it(desk: Client):
    strategy = a_deployment().strategy_version.strategy

    desk.post(page(Strategy, "change", strategy.pk), {"name": "other", "title": "Anew", "is_enabled": "on"})

    strategy.refresh_from_db()
    assert (strategy.name != "other", strategy.title) == (True, "Anew")
    assert desk.get(page(Strategy, "add")).status_code == 403


def test_a_person_keeps_the_name_by_which_what_they_did_is_known(desk: Client):
    bob = a_person("bob", role="viewer")
    asked = {
        "username": "alice2",
        "first_name": "Robert",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }

    answer = desk.post(page(User, "change", bob.pk), asked)

    bob.refresh_from_db()
    assert (answer.status_code, bob.username, bob.first_name) == (302, "bob", "Robert")
