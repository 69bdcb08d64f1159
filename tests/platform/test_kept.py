"""History stays: PostgreSQL refuses TRUNCATE and DELETE of facts, whoever asks."""

from __future__ import annotations

import pgtrigger
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import ProgrammingError, connection, models, transaction

from alphapanda.eventlog.models import OutboxEvent
from risk.models import KillSwitch

FACTS = [model for model, trigger in pgtrigger.registered() if trigger.name == "untruncated"]
EVERY_FACT = {
    "AuditEntry", "Decision", "LimitVersion", "KillSwitch", "OversightChange", "Order", "OrderEvent", "Fill", "Signal",
    "Command", "Posting", "LedgerEntry", "CorporateAction", "ActionPosting", "Snapshot",
    "BrokerAccount", "BrokerSession", "BrokerOrder", "BrokerName", "BrokerCall", "Report", "LiveAct", "Approval",
    "Gtt", "GttCall", "ApiKey", "TradeNote", "TradePicture", "AlertChannel", "AlertDelivery", "AlertSilence",
}  # fmt: skip
pytestmark = pytest.mark.django_db


def truncate(table: str, *, cascade: bool = False) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {connection.ops.quote_name(table)}" + (" CASCADE" if cascade else ""))


def test_every_fact_is_kept() -> None:
    assert {model.__name__ for model in FACTS} == EVERY_FACT


def test_whatever_may_not_be_deleted_may_not_be_truncated() -> None:
    protected = {
        model.__name__
        for model, trigger in pgtrigger.registered()
        if isinstance(trigger, pgtrigger.Protect) and "DELETE" in str(trigger.operation)
    }
    assert protected == EVERY_FACT


@pytest.mark.parametrize("model", FACTS, ids=lambda model: model.__name__)
def test_facts_are_not_truncated(model: type[models.Model]) -> None:
    with pytest.raises(ProgrammingError, match="Cannot truncate"):
        truncate(model._meta.db_table, cascade=True)


@pytest.mark.parametrize("table", ["strategies_deployment", "marketdata_instrument", "portfolio_book"])
def test_no_cascade_reaches_them(table: str) -> None:
    with pytest.raises(ProgrammingError, match="Cannot truncate"):
        truncate(table, cascade=True)


def test_flush_is_refused() -> None:
    with pytest.raises(CommandError):
        call_command("flush", interactive=False)


def test_a_released_kill_switch_stays() -> None:
    switch = KillSwitch.objects.create(level="GLOBAL", reason="drill", thrown_by="olga")
    KillSwitch.objects.update(released_by="olga")
    with pytest.raises(ProgrammingError, match="Cannot delete"), transaction.atomic():
        switch.delete()


def test_other_tables_may_be_emptied() -> None:
    truncate(OutboxEvent._meta.db_table)
