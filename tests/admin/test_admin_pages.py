"""Every table has its page; what the machine writes cannot be touched; acts go through services."""

from __future__ import annotations

import json
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Look, User
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog.models import DeadLetter, OutboxEvent
from alphapanda.web.admin import ReadOnlyDesk
from alphapanda.web.formats import ist_exact
from marketdata.models import Holiday
from portfolio.models import Book, Posting
from portfolio.services import portfolio_create
from risk.models import KillSwitch
from strategies.models import Deployment, Signal
from tests.people import a_person
from tests.rows import SOME, a_deployment, an_instrument, one_of_each

pytestmark = pytest.mark.django_db
APPS = ("accounts", "eventlog", "marketdata", "strategies", "risk", "execution", "portfolio")
MODELS = [
    model
    for label in APPS
    for model in apps.get_app_config(label).get_models()
    if not model._meta.auto_created
]
APPEND_ONLY = (
    *("ActionPosting", "Decision", "Fill", "OrderEvent", "LedgerEntry", "LimitVersion", "Snapshot"),
    *("AuditEntry", "LiveAct"),
)
MACHINE_WRITTEN = {
    *APPEND_ONLY,
    *(
        "Instrument",
        "TickFaultCount",
        "StrategyVersion",
        "StrategyFile",
        "Signal",
        "Approval",
        "Command",
        "Due",
        "RiskState",
        "LimitsInForce",
        "Alert",
        "AlertChannel",
        "AlertDelivery",
        "AlertSilence",
        "StartOfDay",
        "OversightChange",
        "AccountOutside",
        "CandleFetch",
        "Order",
        "PaperMemory",
    ),
    *("TradeNote", "TradePicture", "ApiKey", "Look"),
    *("Book", "Position", "Posting", "OutboxEvent", "LogCursor", "DeadLetter"),
    *("MasterLoad", "MasterChange", "Bar"),
    *("BrokerSession", "BrokerLogin"),
    *(
        "BrokerDesk",
        "BrokerOrder",
        "BrokerCall",
        "BrokerName",
        "BrokerPush",
        "ExternalOrder",
        "Gtt",
        "GttCall",
        "Difference",
        "Report",
    ),
}


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("alice", password="x" * 20)


@pytest.fixture
def desk(root: User) -> Client:
    client = Client()
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(model: type, name: str, *parts: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=parts)


def test_every_model_has_its_page():
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


def test_what_the_machine_writes_cannot_be_touched_even_by_a_superuser(root: User):
    request = SimpleNamespace(user=root)
    untouchable = {
        model.__name__
        for model in MODELS
        if isinstance(desk := admin.site._registry[model], ReadOnlyDesk)
        and not desk.has_add_permission(request)
        and not desk.has_change_permission(request)
        and not desk.has_delete_permission(request)
    }

    assert untouchable == MACHINE_WRITTEN


def test_every_list_and_every_page_of_a_row_opens(desk: Client):
    rows = one_of_each() | {User: User.objects.get()}
    with transaction.atomic():
        rows[AuditEntry] = AuditEntry.objects.create(actor="alice", action="x", target="y")
    assert set(rows) == set(MODELS)

    for model, row in rows.items():
        assert desk.get(page(model, "changelist"), {"q": "infy"}).status_code == 200, model
        listed = desk.get(page(model, "changelist"))
        assert listed.status_code == 200, model
        assert desk.get(page(model, "change", row.pk)).status_code == 200, model


def test_lists_never_load_checkpoints(desk: Client, django_assert_max_num_queries):
    one_of_each()

    for name in ("Deployment", "Signal", "Decision", "Order", "Fill", "KillSwitch", "Due", "LimitSet"):
        model = next(model for model in MODELS if model.__name__ == name)
        with django_assert_max_num_queries(30) as queries:
            desk.get(page(model, "changelist"))
        assert [query for query in queries.captured_queries if '"checkpoint"' in query["sql"]] == [], name


def test_lists_need_no_query_per_row(desk: Client, django_assert_max_num_queries):
    for number in range(20):
        a_deployment(f"ma-{number}")

    with django_assert_max_num_queries(14):
        desk.get(page(Deployment, "changelist"))


def test_prices_are_rupees_times_are_ist_and_json_is_readable(desk: Client):
    rows = {model.__name__: (model, row) for model, row in one_of_each().items()}

    def text(name: str, *, of: str = "changelist") -> str:
        model, row = rows[name]
        return desk.get(page(model, of, *([row.pk] if of == "change" else []))).content.decode()

    assert "₹1,249.05" in text("Fill")
    assert "2019-07-09 09:20:00 IST" in text("Fill")
    assert "-₹12,490.50" in text("LedgerEntry")
    assert "₹10,00,000.00" in text("Portfolio")
    decision = rows["Decision"][1]
    assert ist_exact(to_ms(decision.created_at)) in text("Decision", of="change")
    assert f'href="{page(Deployment, "change", decision.deployment_id)}"' in text("Decision", of="change")
    assert "&quot;order_value&quot;: &quot;12490.50&quot;" in text("Decision", of="change")


@pytest.mark.parametrize("name", APPEND_ONLY)
def test_the_database_refuses_to_change_history(name: str):
    one_of_each()
    AuditEntry.objects.create(actor="alice", action="x", target="y")
    model = next(model for model in MODELS if model.__name__ == name)
    table, key = model._meta.db_table, model._meta.pk.column

    for change in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}", f"DELETE FROM {table} *"):
        with (
            pytest.raises(ProgrammingError, match="Cannot update or delete rows"),
            transaction.atomic(),
            connection.cursor() as sql,
        ):
            sql.execute(change)
    assert model.objects.exists()


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Signal, "UPDATE {} SET quantity = quantity + 1"),
        (Posting, "UPDATE {} SET book_id = book_id, fill = '[1]'"),
        (Signal, "DELETE FROM {}"),
        (Posting, "DELETE FROM {}"),
    ],
)
def test_what_was_wanted_and_what_was_handed_over_stay_as_written(model: type, change: str):
    one_of_each()
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as sql:
        sql.execute(change.format(model._meta.db_table))  # type: ignore[attr-defined]

    assert model.objects.update(state=model.objects.get().state) == 1  # type: ignore[attr-defined]


def test_changes_by_hand_are_audited_with_before_and_after_and_told_to_the_log(desk: Client):
    holiday = Holiday.objects.create(exchange="NSE", date="2026-12-25", name="Xmas")

    desk.post(
        page(Holiday, "change", holiday.pk), {"exchange": "NSE", "date": "2026-12-25", "name": "Christmas"}
    )
    desk.post(
        page(Holiday, "changelist"),
        {"action": "delete_selected", "_selected_action": [holiday.pk], "post": "yes"},
    )

    changed, deleted = AuditEntry.objects.order_by("id")
    assert changed.details["changes"] == {"name": ["Xmas", "Christmas"]}
    assert (changed.actor, changed.ip) == ("alice", "127.0.0.1")
    assert deleted.action == "holiday.delete"
    assert OutboxEvent.objects.count() == 2


def test_a_password_never_reaches_the_audit_trail(desk: Client):
    secret = "canary-kx81-zz"
    desk.post(
        page(User, "add"),
        {
            "username": "bob",
            "password1": secret,
            "password2": secret,
            "usable_password": "true",
        },
    )

    assert User.objects.filter(username="bob").exists()
    assert secret not in json.dumps(list(AuditEntry.objects.values_list("details", flat=True)))


def test_deployments_are_started_paused_and_stopped(desk: Client):
    deployment = a_deployment(status="STOPPED")

    for action, status in (("start", "RUNNING"), ("pause", "PAUSED"), ("stop", "STOPPED")):
        choice = {"action": action, "_selected_action": [str(deployment.pk)]}
        desk.post(page(Deployment, "changelist"), choice)
        deployment.refresh_from_db()
        assert deployment.status == status
    assert AuditEntry.objects.count() == 3


def test_parameters_are_checked_and_change_only_while_stopped(desk: Client):
    deployment = a_deployment(status="STOPPED", step=5)
    form = {"execution": "{}", "params": '{"fast": "x"}'}
    address = page(Deployment, "change", deployment.pk)

    assert "Expected `int`, got `str`" in unescape(desk.post(address, form).content.decode())
    refused = desk.post(address, form | {"params": "{}", "execution": '{"latency_ms": -1}'})
    assert "is from 0 to 3600000" in refused.content.decode()
    assert desk.post(address, form | {"params": '{"fast": 3}'}).status_code == 302
    deployment.refresh_from_db()
    assert (deployment.params, deployment.revision, deployment.step) == ({"fast": 3}, 1, 5)

    Deployment.objects.update(status="RUNNING")
    assert "Stop the deployment" in desk.post(address, form | {"params": '{"fast": 4}'}).content.decode()


@pytest.fixture
def new() -> dict[str, Any]:
    """The form of a new deployment on an instrument of partition 2, beside one on shard 0."""
    other = a_deployment("first", shard=0)
    tcs = an_instrument(tradingsymbol="TCS", instrument_token=2, partition=2)
    desk = portfolio_create(name="live", broker=Broker.ZERODHA)
    return {
        "name": "second",
        "strategy_version": other.strategy_version.pk,
        "broker": "zerodha",
        "instruments": [tcs.pk],
        "portfolio": str(desk.pk),
        "params": '{"fast": 3}',
        "execution": '{"algo_id": "A7", "product": "CNC"}',
    }


def test_a_new_deployment_is_born_stopped_with_book_shard_and_partition(desk: Client, new: dict[str, Any]):
    assert desk.get(page(Deployment, "add")).status_code == 200
    desk.post(page(Deployment, "add"), new)

    made = Deployment.objects.get(name="second")
    assert (made.status, made.shard, made.partition) == ("STOPPED", 1, 2)
    assert (made.params, made.execution) == ({"fast": 3}, {"algo_id": "A7", "product": "CNC"})
    assert [str(instrument) for instrument in made.instruments.all()] == ["NSE:TCS"]
    book = Book.objects.get(pk=made.pk)
    assert (book.name, book.broker, book.portfolio.name) == ("second", "zerodha", "live")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details["changes"]["name"]) == ("deployment.add", "second")
    assert "live" in desk.get(page(Deployment, "change", made.pk)).content.decode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"broker": "paper"}, "belongs to zerodha"),
        ({"params": '{"slow": 9}'}, "below `slow`"),
        ({"execution": '{"speed": 1}'}, "unknown field"),
        ({"execution": '{"product": "MTF"}'}, "MTF"),
        ({"name": "first"}, "already exists"),
    ],
)
def test_a_deployment_that_cannot_work_is_not_made(desk: Client, new: dict[str, Any], wrong: dict, said: str):
    answer = desk.post(page(Deployment, "add"), new | wrong)

    assert said in unescape(answer.content.decode())
    assert (Deployment.objects.count(), Book.objects.count()) == (1, 0)


def test_instruments_of_two_partitions_are_refused(desk: Client, new: dict[str, Any]):
    two = [*new["instruments"], an_instrument().pk]

    answer = desk.post(page(Deployment, "add"), new | {"instruments": two}, follow=True)

    assert "must be on one partition" in answer.content.decode()
    assert Deployment.objects.count() == 1


def test_kill_switches_are_thrown_and_released(desk: Client):
    form = {"level": "BROKER", "broker": "paper", "deployment": "", "reason": "drill", "step": "PAUSE"}
    desk.post(page(KillSwitch, "add"), form)
    desk.post(page(KillSwitch, "add"), form)
    refused = desk.post(page(KillSwitch, "add"), form | {"broker": ""}, follow=True)
    halt = KillSwitch.objects.get()
    desk.post(page(KillSwitch, "changelist"), {"action": "release", "_selected_action": [halt.pk]})

    halt.refresh_from_db()
    assert halt.released_by == "alice"
    assert "names exactly what it halts" in refused.content.decode()
    assert [e.action for e in AuditEntry.objects.order_by("id")] == ["halt.throw", "halt.release"]


def test_a_dead_letter_is_discarded_once(desk: Client):
    letter = DeadLetter.objects.create(
        consumer="c", topic="t", partition=0, incarnation=SOME, offset=1, body=b"?", reason="R", error="e"
    )

    for _ in range(2):
        desk.post(page(DeadLetter, "changelist"), {"action": "discard", "_selected_action": [letter.pk]})

    letter.refresh_from_db()
    assert letter.state == "DISCARDED"
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(("name", "role"), [("bob", "viewer"), ("charlie", "")])
def test_a_viewer_on_the_staff_sees_and_cannot_act(name: str, role: str):
    deployment = a_deployment(status="STOPPED")
    client = Client()
    client.force_login(
        a_person(name, role=role, is_staff=True), backend="django.contrib.auth.backends.ModelBackend"
    )

    seen = client.get(page(Deployment, "changelist"))
    client.post(page(Deployment, "changelist"), {"action": "start", "_selected_action": [str(deployment.pk)]})

    deployment.refresh_from_db()
    assert seen.status_code == (200 if role else 403)
    assert deployment.status == "STOPPED"
    assert client.get(page(Holiday, "add")).status_code == 403


def test_an_operator_on_the_staff_acts_and_makes_nobody_an_operator():
    deployment = a_deployment(status="STOPPED")
    client = Client()
    client.force_login(
        a_person("alice", role="operator", is_staff=True),
        backend="django.contrib.auth.backends.ModelBackend",
    )

    client.post(page(Deployment, "changelist"), {"action": "start", "_selected_action": [str(deployment.pk)]})

    deployment.refresh_from_db()
    assert deployment.status == "RUNNING"
    assert client.get(page(Holiday, "add")).status_code == 200
    assert client.get(page(User, "add")).status_code == 403
    assert client.post(page(User, "change", User.objects.get().pk), {"is_superuser": "on"}).status_code == 403


@pytest.mark.parametrize(
    "asked", [{"created_at__year": "0"}, {"created_at__year": "9" * 30}, {"status__exact": "\0"}]
)
def test_an_address_that_cannot_be_looked_up_leads_to_the_whole_list(desk: Client, asked: dict[str, str]):
    answer = desk.get(page(Deployment, "changelist"), asked, follow=True)
    assert answer.redirect_chain == [(page(Deployment, "changelist"), 302)]
    assert "cannot be looked up" in answer.content.decode()


def test_a_person_is_deleted_with_the_look_that_the_person_chose(desk: Client) -> None:
    bob = User.objects.create_user("bob", password="x")
    Look.objects.create(user=bob, theme="light")
    answer = desk.post(page(User, "delete", bob.pk), {"post": "yes"})
    assert answer.status_code == 302, answer.content.decode()
    assert not User.objects.filter(username="bob").exists()
    assert AuditEntry.objects.get().action == "user.delete"
