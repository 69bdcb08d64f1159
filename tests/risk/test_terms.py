"""Limits in force: written down with whatever changes them, refused where a group would be split, versioned."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import AuditEntry, User
from alphapanda.core import ids
from risk import loading
from risk.domain.context import terms_of
from risk.models import Decision, LimitSet, LimitsInForce, LimitVersion
from risk.services.terms import terms_of_deployment, terms_refresh
from strategies.loading import watched_by
from strategies.models import Deployment, Signal
from strategies.services.sharding import GroupSplit, deployments_reshard
from tests.people import client_of
from tests.rows import AT_MS, SOME, a_book, a_deployment, an_instrument

pytestmark = pytest.mark.django_db


def limited(level: str = "GLOBAL", **limits: object) -> LimitSet:
    return LimitSet.objects.create(level=level, **limits)


def group(name: str) -> str:
    return Deployment.objects.get(name=name).group


def test_saving_and_deleting_a_limit_changes_what_is_in_force():
    deployment = a_deployment()
    before = LimitsInForce.objects.get(deployment=deployment).version_id

    row = limited(order_quantity=5)
    bound = terms_of_deployment(deployment.pk)
    assert bound.limits.order_quantity == 5
    assert LimitsInForce.objects.get(deployment=deployment).version_id == bound.version != before
    row.delete()
    assert LimitsInForce.objects.get(deployment=deployment).version_id == before
    assert set(LimitVersion.objects.values_list("version", flat=True)) == {before, bound.version}


def test_a_new_deployment_joins_its_groups_and_shares_their_shard():
    limited(gross_exposure=Decimal(5))
    first = a_deployment("one", shard=1)
    assert group("one") == ""
    second = a_deployment("two", shard=0)

    rows = {row.name: row for row in Deployment.objects.all()}
    assert rows["one"].group == rows["two"].group == str(min(first.pk, second.pk))
    assert (
        rows["one"].shard == rows["two"].shard == rows[min(rows.values(), key=lambda row: row.pk).name].shard
    )
    assert (rows["one"].revision, rows["two"].revision) == (first.revision + 1, second.revision + 1)


def test_members_are_loaded_anew_when_what_they_must_watch_changes():
    limited(gross_exposure=Decimal(5))
    one, two = a_deployment("one"), a_deployment("two")
    before = dict(Deployment.objects.values_list("name", "revision"))

    two.instruments.add(an_instrument(tradingsymbol="TCS", instrument_token=2))

    assert dict(Deployment.objects.values_list("name", "revision")) == {
        name: revision + 1 for name, revision in before.items()
    }
    one.refresh_from_db()
    assert [spec.key for spec in watched_by(one)] == ["NSE:TCS", "NSE:INFY"]  # by token


def test_a_limit_that_is_taken_away_sets_a_group_free():
    row = limited(gross_exposure=Decimal(5))
    a_deployment("one"), a_deployment("two")
    row.delete()

    assert {group("one"), group("two")} == {""}


def test_a_group_on_two_partitions_is_refused_with_names():
    a_deployment("one", partition=0), a_deployment("two", partition=1)

    with (
        pytest.raises(
            GroupSplit, match=r"must read one partition.*one reads partition 0, two reads partition 1"
        ),
        transaction.atomic(),
    ):
        limited(daily_loss=Decimal(5))
    assert not LimitSet.objects.exists()
    limited(order_quantity=5)  # nothing is added up, nobody is coupled


def test_resharding_keeps_a_group_together():
    limited(gross_exposure=Decimal(5))
    for number in range(3):
        a_deployment(f"number {number}", shard=5)
    a_deployment("alone", broker="zerodha", shard=5)

    with override_settings(SHARDS=2):
        assert deployments_reshard() == 4
    shards = dict(Deployment.objects.values_list("name", "shard"))
    assert len({shards[f"number {number}"] for number in range(3)}) == 1
    assert max(shards.values()) < 2


def test_terms_survive_the_database():
    deployment = a_deployment()
    a_book(deployment)
    limited(daily_loss=Decimal("5.50"), restricted=["NSE:X"], self_trade=True)
    limited("PORTFOLIO", portfolio=loading.Book.objects.get().portfolio, net_exposure=Decimal(9))

    (place,) = loading.places()
    assert terms_of_deployment(deployment.pk) == terms_of(loading.levels(), place, (place,))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"level": "BROKER"}, "names exactly what it limits"),
        ({"level": "GLOBAL", "broker": "paper"}, "names exactly what it limits"),
        ({"level": "GLOBAL", "repeated_entries": 5}, "go together"),
        ({"level": "GLOBAL", "daily_loss": 5, "loss_flatten": 4}, "must not be above"),
        ({"level": "GLOBAL", "restricted": ["nse:yesbank"]}, "'nse:yesbank' is neither an instrument"),
    ],
)
def test_limits_that_do_not_fit_are_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        LimitSet(**values).full_clean()


def test_an_instrument_cannot_limit_a_loss():
    row = LimitSet(level="INSTRUMENT", instrument=an_instrument(), daily_loss=5)
    with pytest.raises(ValidationError, match="cannot be limited for one instrument"):
        row.full_clean()


# ---- looking ahead -------------------------------------------------------------------------------------------


def test_headroom_by_command_and_api(capsys):
    deployment = a_deployment()
    limited(order_quantity=20)

    call_command("limits", "--json")
    (buy, _sell) = msgspec.json.decode(capsys.readouterr().out)
    assert (buy["deployment"], buy["limit"], buy["at"], buy["left"]) == (
        "ma-infy",
        "order_quantity",
        "20",
        "20",
    )
    assert (buy["instrument"], buy["side"], buy["smallest_refused"]) == ("NSE:INFY", "BUY", 21)
    answer = client_of("bob").get("/api/v1/limits/headroom/", {"deployment": str(deployment.pk)})
    assert answer.json()[0] == buy
    for wrong, status in (("x", 400), (str(SOME), 404)):
        assert client_of("bob").get("/api/v1/limits/headroom/", {"deployment": wrong}).status_code == status
    with pytest.raises(CommandError, match="no deployment named 'x'"):
        call_command("limits", "x")


def a_past() -> None:
    """An order at 1,249.05 rupees that was approved and never traded."""
    deployment = a_deployment()
    instrument = an_instrument()
    mark = {
        "price_e4": 12_490_500,
        "at_ms": AT_MS,
        "close_before_e4": 0,
        "before_e4": 0,
        "bid_e4": 0,
        "ask_e4": 0,
    }
    signal = Signal.objects.create(
        id=ids.signal_id(deployment.pk, 1, 0),
        deployment=deployment,
        broker="paper",
        step=1,
        ordinal=0,
        instrument=instrument,
        side="BUY",
        quantity=10,
        order_type="MARKET",
        validity="DAY",
        product="MIS",
        reason="crossed",
        at_ms=AT_MS,
        marks={str(instrument.instrument_token): mark},
        correlation_id=SOME,
    )
    Decision.objects.create(
        id=ids.decision_id(signal.pk),
        signal=signal,
        deployment=deployment,
        broker="paper",
        is_approved=True,
        rule="within_limits",
        reason="no rule objects",
        numbers={"order_value": "12490.5", "price_age_ms": 0, "position": 0, "worst_position": 10},
        at_ms=AT_MS,
    )


PROPOSED = '{"order_value": "12000"}'


def test_a_preview_by_command_changes_nothing(capsys):
    a_past()

    call_command("limits_preview", "global", "--limits", PROPOSED, "--json")
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (found["decisions"], found["sessions"], found["effect"]) == (1, 1, "0.00")
    assert [(one["now"], one["value"]) for one in found["refused"]] == [("order_value", "12490.50")]
    assert not LimitSet.objects.exists()
    for wrong, said in (
        (("--limits", "{"), "wants a JSON object"),
        (("--limits", '{"daily_orders": 3, "daily_orders": 300}'), "'daily_orders' is named twice"),
        (("--limits", '{"x": 1}'), "x"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("limits_preview", "global", *wrong)
    with pytest.raises(CommandError, match="no portfolio named 'x'"):
        call_command("limits_preview", "portfolio", "x", "--limits", PROPOSED)


def test_a_preview_by_api():
    a_past()
    operator = client_of("alice")

    answer = operator.post(
        "/api/v1/limits/preview/", {"level": "GLOBAL", "limits": {"order_value": "12000"}}, format="json"
    )
    assert (answer.status_code, len(answer.json()["refused"])) == (200, 1)
    wrong = {"level": "INSTRUMENT", "instrument": an_instrument().pk, "limits": {"daily_loss": "5"}}
    refused = operator.post("/api/v1/limits/preview/", wrong, format="json")
    assert refused.status_code == 400
    assert "cannot be limited for one instrument" in refused.json()["error"]["message"]


def test_saving_limits_in_the_admin_takes_two_steps():
    a_past()
    desk = Client()
    desk.force_login(
        User.objects.create_superuser("alice", password="x" * 20),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    address = reverse("admin:risk_limitset_add")
    form = {"level": "GLOBAL", "order_value": "12000", "restricted": "", "allowed": "", "products": ""}

    shown = desk.post(address, form)
    assert shown.status_code == 200
    page = shown.content.decode()
    assert all(text in page for text in ("12,490.50", "order_value", 'name="_confirmed"'))
    assert not LimitSet.objects.exists()

    assert desk.post(address, form | {"_confirmed": "yes"}).status_code == 302
    assert LimitSet.objects.get().order_value == 12_000
    entry = AuditEntry.objects.get(action="limitset.add")
    assert entry.details["changes"]["order_value"] == ["None", "12000"]
    assert "names exactly" in desk.post(address, form | {"level": "BROKER"}).content.decode()


def test_removing_limits_in_the_admin_shows_first_what_they_kept_out():
    a_past()
    desk = Client()
    desk.force_login(
        User.objects.create_superuser("alice", password="x" * 20),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    limited(order_value=Decimal(12_000))
    row = LimitSet.objects.get()

    page = desk.get(reverse("admin:risk_limitset_delete", args=[row.pk])).content.decode()
    assert all(text in page for text in ("Remove these limits", "order_value", "past session"))
    everybody = desk.get(reverse("admin:risk_limitset_changelist")).content.decode()
    assert "delete_selected" not in everybody
    assert LimitSet.objects.exists()

    desk.post(reverse("admin:risk_limitset_delete", args=[row.pk]), {"_confirmed": "yes"})
    assert not LimitSet.objects.exists()
    assert AuditEntry.objects.filter(action="limitset.delete").exists()


def test_a_refresh_that_changes_nothing_writes_nothing():
    a_deployment()
    limited(gross_exposure=Decimal(5))
    before = list(Deployment.objects.values_list("revision", flat=True))

    assert terms_refresh() == 0
    assert list(Deployment.objects.values_list("revision", flat=True)) == before


def test_names_that_no_list_has_are_told_before_they_are_saved(capsys):
    """A slip restricts nothing; what an exchange without a list has nobody can tell."""
    name = str(an_instrument())
    bare = name.partition(":")[2]
    limits = {"restricted": [name, bare, "NSE:SLIPP", "SLIPP", "MCX:GOLD26DECFUT"]}
    unlisted = ["NSE:SLIPP", "SLIPP"]

    call_command("limits_preview", "global", "--limits", msgspec.json.encode(limits).decode(), "--json")
    assert msgspec.json.decode(capsys.readouterr().out)["unlisted"] == unlisted
    call_command("limits_preview", "global", "--limits", msgspec.json.encode(limits).decode())
    assert "NSE:SLIPP: no instrument list that is loaded has it" in capsys.readouterr().out
    posted = {"level": "GLOBAL", "limits": limits}
    answer = client_of("alice").post("/api/v1/limits/preview/", posted, format="json")
    assert answer.json()["unlisted"] == unlisted
    desk = Client()
    desk.force_login(
        User.objects.create_superuser("root", password="x" * 20),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    form = {"level": "GLOBAL", "restricted": ",".join(limits["restricted"]), "allowed": "", "products": ""}
    page = desk.post(reverse("admin:risk_limitset_add"), form).content.decode()
    assert "No instrument list that is loaded has NSE:SLIPP, SLIPP:" in page
