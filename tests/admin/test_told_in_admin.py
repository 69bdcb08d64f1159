"""What operators meet in the admin: slips are refused where they are made, and what is wrong is told there."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from alphapanda.core.vocabulary import DeploymentStatus
from marketdata.models import FreezeQuantity, Holiday, InstrumentRule, SpecialSession
from strategies.models import Deployment, StrategyVersion
from tests.rows import a_deployment, one_of_each

pytestmark = pytest.mark.django_db


def page(model: type, name: str, *parts: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=parts)


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (Holiday, "exchange", "NSEX"),
        (Holiday, "exchange", "NSE_FNO"),
        (SpecialSession, "exchange", "nse"),
        (FreezeQuantity, "exchange", "NFQ"),
        (InstrumentRule, "tick_size", "-0.05"),
        (InstrumentRule, "lot_size", "-1"),
    ],
)
def test_a_slip_in_a_calendar_or_a_rule_is_refused_rather_than_of_no_effect(
    desk: Client, model: type, field: str, value: str
):
    row = one_of_each()[model]
    form = desk.get(page(model, "change", row.pk)).context["adminform"].form
    stored = {name: form.initial.get(name) for name in form.fields}
    asked = {name: "" if kept is None else kept for name, kept in stored.items()} | {field: value}

    answer = desk.post(page(model, "change", row.pk), asked)

    assert list(answer.context["adminform"].form.errors) == [field]


def test_versions_of_strategies_tell_of_files_that_do_not_load(desk: Client, settings: Any, tmp_path: Any):
    settings.STRATEGIES = tmp_path
    (tmp_path / "broken.py").write_text("import nothing_like_this\n\n\nclass Broken(Strategy):\n    pass\n")
    listed = desk.get(page(StrategyVersion, "changelist")).content.decode()

    assert "broken.py: line" in listed
    assert "?strategy=ema_cross" in listed


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'", "KeyError: 'a'"),
        (
            "did not come back within 5 s; it was at\n  File x\n    while True:",
            "did not come back within 5 s",
        ),
    ],
)
def test_a_list_of_deployments_tells_in_a_line_what_was_wrong(desk: Client, error: str, shown: str):
    a_deployment(status=DeploymentStatus.QUARANTINED, error=error)
    listed = unescape(desk.get(page(Deployment, "changelist")).content.decode())

    assert f">{shown}<" in "".join(line.strip() for line in listed.splitlines())


@pytest.mark.parametrize("text", ["5", "[1]", "NaN", '"MIS"'])
def test_how_orders_are_carried_out_is_an_object_or_refused_in_words(desk: Client, text: str):
    deployment = a_deployment(status="STOPPED")
    asked = {"params": "{}", "execution": text}

    answer = desk.post(page(Deployment, "change", deployment.pk), asked)

    assert "Write a JSON object" in answer.content.decode()
