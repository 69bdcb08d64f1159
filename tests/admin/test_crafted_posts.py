"""What no page of the admin would send is answered in words, not as a fault of ours."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from marketdata.models import Holiday
from risk.models import Alert
from strategies.models import Deployment
from tests.rows import a_deployment

pytestmark = pytest.mark.django_db
OF_NO_KIND = ("not-a-uuid", "9" * 30, "1.5", "-1", "\x00", "٣")


def page(model: type, name: str, *parts: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=parts)  # type: ignore[attr-defined]


def acts() -> list[tuple[type, str]]:
    """Every act in bulk that a superuser is offered."""
    request = RequestFactory().get("/")
    request.user = User(username="root", is_superuser=True)
    return [
        (model, name) for model, desk in admin.site._registry.items() for name in desk.get_actions(request)
    ]


@pytest.mark.parametrize("key", OF_NO_KIND)
def test_an_act_on_keys_of_no_kind_is_answered_in_words(desk: Client, key: str):
    assert {(Deployment, "start"), (Holiday, "delete_selected")} <= set(acts())

    for model, name in acts():
        chosen = {"action": name, "_selected_action": [key], "note": "settled", "post": "yes"}
        answer = desk.post(page(model, "changelist"), chosen)

        assert answer.status_code == 302, (model, name)


def test_the_words_say_what_was_wrong_and_nothing_was_done(desk: Client):
    deployment = a_deployment(status="STOPPED")
    chosen = {"action": "start", "_selected_action": ["not-a-uuid", str(deployment.pk)]}

    answer = desk.post(page(Deployment, "changelist"), chosen)

    (said,) = get_messages(answer.wsgi_request)
    assert said.message == "What is asked for cannot be looked up: “not-a-uuid” is not a valid UUID."
    assert (answer.status_code, answer["Location"]) == (302, page(Deployment, "changelist"))
    deployment.refresh_from_db()
    assert deployment.status == "STOPPED"


@pytest.mark.parametrize("query", ["?severity__exact=%00", "?nothing=1"])
def test_an_act_on_a_list_that_cannot_be_is_answered_in_words(desk: Client, query: str):
    address = page(Alert, "changelist") + query

    answer = desk.post(address, {"action": "acknowledge", "_selected_action": ["1"]})

    assert answer.status_code == 302


def test_an_error_of_the_act_itself_is_not_taken_for_one_of_the_address(desk: Client, monkeypatch):
    def fails(*_args: object, **_facts: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr("strategies.admin.deployment_start", fails)
    chosen = {"action": "start", "_selected_action": [str(a_deployment(status="STOPPED").pk)]}

    with pytest.raises(ValueError, match="a fault of ours"):
        desk.post(page(Deployment, "changelist"), chosen)


@pytest.mark.parametrize("key", ["not-a-uuid", "\x00"])
def test_a_page_of_a_row_of_no_kind_is_not_there(desk: Client, key: str):
    for model in admin.site._registry:
        for name in ("change", "delete", "history"):
            answer = desk.post(page(model, name, key), {"post": "yes"})
            assert answer.status_code in (302, 403, 404, 405), (model, name)
