"""Corporate actions in the admin: entered, refused, applied, and then fixed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from portfolio.models import CorporateAction, Position
from tests.rows import a_book, a_deployment, an_instrument

pytestmark = pytest.mark.django_db


def page(name: str, *parts: object) -> str:
    return reverse(f"admin:portfolio_corporateaction_{name}", args=parts)


def form(**facts: Any) -> dict[str, Any]:
    given = {"instrument": an_instrument().pk, "kind": "BONUS", "ex_date": "2018-09-04", "new": 1, "old": 1}
    return given | {"amount": "0", "note": ""} | facts


def test_it_is_entered_and_applied_by_the_act_and_audited(desk: Client):
    deployment = a_deployment("ema", status="STOPPED")
    Position.objects.create(book=a_book(deployment), instrument=an_instrument(), quantity=10)
    desk.post(page("add"), form())
    action = CorporateAction.objects.get()
    apply = {"action": "apply", "_selected_action": [str(action.pk)]}

    said = desk.post(page("changelist"), apply, follow=True).content.decode()

    action.refresh_from_db()
    assert "Done: BONUS of NSE:INFY on 2018-09-04" in said
    assert action.applied_at is not None
    acts = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(acts) == ["corporateaction.add", "corporate_action.apply"]
    assert desk.post(page("change", action.pk), form(new=5)).status_code == 403
    assert desk.post(page("delete", action.pk), {"post": "yes"}).status_code == 403


def test_one_that_is_not_applied_can_be_changed_in_its_figures(desk: Client):
    desk.post(page("add"), form())
    action = CorporateAction.objects.get()

    desk.post(page("change", action.pk), {"new": 2, "old": 1, "amount": "0", "note": "revised"})

    action.refresh_from_db()
    assert (action.new, action.note, action.kind) == (2, "revised", "BONUS")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "DIVIDEND"}, "has no ratio"),
        ({"old": 0}, "whole numbers of shares from 1 to 1000000"),
        ({"amount": "3"}, "has no `amount`"),
        ({"kind": "MERGER"}, "not one of the available choices"),
    ],
)
def test_figures_that_do_not_fit_are_refused_on_the_page(desk: Client, wrong: dict[str, Any], said: str):
    answer = desk.post(page("add"), form(**wrong))

    assert said in answer.content.decode()
    assert not CorporateAction.objects.exists()


def test_the_same_action_twice_is_refused(desk: Client):
    desk.post(page("add"), form())
    assert "already exists" in desk.post(page("add"), form(new=2)).content.decode()
