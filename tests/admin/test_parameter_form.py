"""The form of a deployment is made from the strategy's Params: inputs, ranges, defaults, and what is refused."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from html import unescape
from typing import Annotated, Any, Literal

import msgspec
import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from msgspec import Meta

from accounts.models import User
from alphapanda.core.vocabulary import Broker
from portfolio.services import portfolio_create
from strategies.domain.history import renewed
from strategies.domain.parameters import described
from strategies.forms import ParametersField
from strategies.loading import strategy_class_of
from strategies.models import Deployment
from strategies.services.catalogue import version_installed
from strategies.services.lifecycle import deployment_configure
from tests.rows import a_deployment, an_instrument

ADD = reverse("admin:strategies_deployment_add")


class Params(msgspec.Struct):
    length: Annotated[int, Meta(ge=2, le=50, description="bars")] = 20
    factor: Annotated[float, Meta(gt=0, le=5)] = 1.5
    side: Literal["long", "both"] = "both"
    is_quick: bool = True
    opens: Annotated[str, Meta(pattern=r"^[0-9:]+$")] = "09:15"
    times: tuple[str, ...] = ("10:00",)
    first: str = msgspec.field(default_factory=str)
    stop: Decimal = Decimal("1.50")
    until: time = time(15, 10)


class Optional(msgspec.Struct):
    """Each may be None instead."""

    needed: Annotated[Decimal | None, Meta(description="a price")]
    stop: Annotated[int, Meta(ge=2, le=50, description="ticks")] | None = None
    share: float | None = 0.5
    side: Literal["long", "both"] | None = "both"
    leg: Literal["near", "far", None] = "near"
    is_quick: bool | None = None
    word: str | None = None
    odd: int | str | None = None


FIELD, OPTIONAL = ParametersField(described(Params)), ParametersField(described(Optional))


def asked(text: str, field: ParametersField = FIELD) -> Any:
    """What a posted form comes to."""
    return field.clean(field.widget.value_from_datadict(QueryDict(text), {}, "params"))


def test_every_parameter_has_an_input_with_its_range_default_and_meaning() -> None:
    page = FIELD.widget.render("params", {"length": 7})

    for name in Params.__struct_fields__:
        assert f'name="params__{name}"' in page
    assert 'value="7"' in page
    assert 'min="2"' in page
    assert 'max="50"' in page
    assert "bars; from 2 to 50; 20 if left out" in page
    assert "above 0 to 5" in page
    assert 'pattern="[0-9:]+"' in page
    assert '<option value="both" selected>' in page


def test_texts_become_what_the_strategy_takes() -> None:
    found = asked(
        'params__length=9&params__factor=2.5&params__side=long&params__opens=10:00&params__times=["11:00"]'
    )

    assert found == {
        "length": 9, "factor": 2.5, "side": "long", "opens": "10:00", "times": ["11:00"], "is_quick": False,
    }  # fmt: skip
    assert asked("params__stop=0.10&params__until=14:00:00") == {
        "stop": "0.10", "until": "14:00:00", "is_quick": False,
    }  # fmt: skip
    assert asked("params__is_quick=on&params__length=") == {"is_quick": True}
    assert asked('params={"length": 3}') == {"length": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params__length=x", "length: 'x' is not a whole number"),
        ("params__factor=nan", "factor: 'nan' is not a number"),
        ("params__stop=1,5", "stop: '1,5' is not a decimal number"),
        ("params__stop=NaN", "stop: 'NaN' is not a decimal number"),
        ("params__times=[", "times: '[' is not JSON"),
        ("params=[1]", "Write a JSON object"),
        ("params={", "Write a JSON object"),
        ('params={"fast": 5, "fast": 6}', "is named twice"),
    ],
)
def test_texts_that_mean_nothing_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(Exception, match=said.replace("[", r"\[")):
        asked(text)


def test_what_is_posted_as_it_was_is_no_change() -> None:
    posted = {"length": "7", "factor": "1.5", "is_quick": True, "times": '["10:00"]'}
    posted |= {"stop": "1.50", "until": "15:10:00"}

    assert not FIELD.has_changed({"length": 7}, posted)
    assert FIELD.has_changed({"length": 8}, posted)


def test_what_may_be_none_has_the_input_of_what_it_is_otherwise() -> None:
    page = OPTIONAL.widget.render("params", {"stop": 7, "is_quick": False, "leg": None})
    by_name = {one.name: one for one in OPTIONAL.parameters.values()}

    assert [one.kind for one in by_name.values()] == [
        "decimal", "int", "float", "choice", "choice", "bool", "text", "json",
    ]  # fmt: skip
    assert 'min="2"' in page
    assert 'value="7"' in page
    assert '<option value="both" selected>' in page
    assert '<option value="false" selected>' in page
    assert page.count('<option value="" selected>null') == 1
    assert by_name["stop"].words == "ticks; from 2 to 50; null if left empty"
    assert by_name["share"].words == "0.5 if left out, null if left empty"
    assert by_name["needed"].words == "a price; a decimal number; null if left empty"
    assert by_name["needed"].accepted == "a decimal number or null"


def test_an_empty_input_of_what_may_be_none_is_none() -> None:
    names = [name for name in Optional.__struct_fields__ if name != "odd"]
    emptied = asked("&".join(f"params__{name}=" for name in names), OPTIONAL)

    assert msgspec.convert(emptied, Optional) == Optional(needed=None, share=None, side=None, leg=None)
    assert asked("params__stop=9&params__is_quick=true&params__leg=far&params__needed=1.5", OPTIONAL) == {
        "stop": 9, "is_quick": True, "leg": "far", "needed": "1.5",
    }  # fmt: skip
    assert not OPTIONAL.has_changed({"needed": "1"}, {"needed": "1", "stop": None})
    assert OPTIONAL.has_changed({"needed": "1"}, {"needed": None})
    with pytest.raises(Exception, match="stop: 1 is not from 2 to 50 or null"):
        asked("params__stop=1", OPTIONAL)
    with pytest.raises(Exception, match="is_quick: 'maybe' is not true or false or null"):
        asked("params__is_quick=maybe", OPTIONAL)


@pytest.fixture
def desk(db: None) -> Client:
    client = Client()
    root = User.objects.create_superuser("alice", password="x" * 20)
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    return client


def form(**params: str) -> dict[str, Any]:
    version = version_installed("opening_range")
    return {
        "name": "Breakout",
        "strategy_version": version.pk,
        "broker": "paper",
        "instruments": [an_instrument().pk],
        "portfolio": str(portfolio_create(name="paper", broker=Broker.PAPER).pk),
        "execution": "{}",
    } | {f"params__{name}": value for name, value in params.items()}


def test_a_version_is_deployed_by_its_form(desk: Client) -> None:
    version = version_installed("opening_range")
    listed = desk.get(reverse("admin:strategies_strategyversion_changelist")).content.decode()
    assert f"{ADD}?strategy_version={version.pk}" in listed
    assert 'name="params__range_minutes"' in desk.get(f"{ADD}?strategy_version={version.pk}").content.decode()

    refused = unescape(desk.post(ADD, form(range_minutes="7")).content.decode())
    assert "`range_minutes` must be a multiple of `bar_minutes`" in refused
    assert 'value="7"' in refused
    too_much = unescape(desk.post(ADD, form(entries_daily="101")).content.decode())
    assert "entries_daily: 101 is not from 1 to 100" in too_much
    assert desk.post(ADD, form(range_minutes="30", short="on")).status_code == 302

    made = Deployment.objects.get()
    assert made.params == {"range_minutes": 30, "short": True}
    page = desk.get(reverse("admin:strategies_deployment_change", args=[made.pk])).content.decode()
    assert 'name="params__range_minutes"' in page
    assert 'value="30"' in page


@pytest.mark.django_db
def test_instruments_that_the_parameters_do_not_name_are_refused(desk: Client) -> None:
    given = form(first="NSE:INFY", second="NSE:TCS") | {"strategy_version": version_installed("pairs").pk}

    assert "must be NSE:INFY and NSE:TCS" in unescape(desk.post(ADD, given).content.decode())
    assert not Deployment.objects.exists()


@pytest.mark.django_db
def test_other_parameters_begin_the_memory_anew() -> None:
    deployment = a_deployment(status="STOPPED")
    strategy = strategy_class_of(deployment.strategy_version)
    averages = {"NSE:INFY": {"fast": {"length": 9}, "slow": {"length": 21}, "side": 1}}
    stored = msgspec.msgpack.encode({"step": 5, "strategy": {"averages": averages}})
    Deployment.objects.update(checkpoint=stored)
    facts = {"deployment_id": deployment.pk, "actor": "alice", "reason": "drill", "now": timezone.now()}

    deployment_configure(changes={"execution": {"latency_ms": 5}}, **facts)
    deployment.refresh_from_db()
    assert bytes(deployment.checkpoint) == stored
    deployment_configure(changes={"params": {"fast": 3}}, **facts)
    deployment.refresh_from_db()
    assert bytes(deployment.checkpoint) == renewed(stored, strategy(strategy.Params()), is_flat=False)
    assert msgspec.msgpack.decode(deployment.checkpoint)["step"] == 5
