"""Limits, decisions and kill switches in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.web.admin import Desk, ReadOnlyDesk, by_hand, shown
from risk.models import Decision, HaltEffect, KillSwitch, LimitSet, RiskState
from risk.services.halts import halt_release, halt_throw

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(LimitSet)
class LimitSetAdmin(Desk):
    list_display = (
        "__str__",
        "level",
        "order_quantity",
        shown("order_value"),
        "position_quantity",
        "daily_orders",
        shown("daily_loss"),
        "orders_per_minute",
        "price_age_ms",
    )
    list_filter = ("level", "broker")
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("deployment__name",)
    autocomplete_fields = ("deployment",)
    ordering = ("level", "broker")


@admin.register(RiskState)
class RiskStateAdmin(ReadOnlyDesk):
    list_display = ("deployment", "updated_at")
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("deployment__name",)
    ordering = ("-updated_at",)


@admin.register(Decision)
class DecisionAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "deployment",
        "broker",
        "signal",
        "is_approved",
        "rule",
        "reason",
    )
    list_filter = ("is_approved", "rule", "broker", ("deployment", AutocompleteSelectFilter))
    list_select_related = ("deployment", "signal__instrument")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "=signal__id", "deployment__name", "rule", "reason")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(KillSwitch)
class KillSwitchAdmin(Desk):
    """Adding one throws it; it is never changed or deleted, only released."""

    audited_by_services = frozenset({"add"})
    list_display = (
        "thrown_at",
        "level",
        "broker",
        "deployment",
        "is_active",
        "reason",
        "thrown_by",
        "released_by",
        "released_at",
    )
    list_filter = ("level", "broker", ("released_at", admin.EmptyFieldListFilter))
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("reason", "deployment__name", "thrown_by")
    autocomplete_fields = ("deployment",)
    date_hierarchy = "thrown_at"
    ordering = ("-id",)
    actions = ("release",)

    def get_fields(self, _request: HttpRequest, obj: KillSwitch | None = None) -> tuple[str, ...]:
        asked = ("level", "broker", "deployment", "reason")
        return asked if obj is None else (*asked, "thrown_by", "thrown_at", "released_by", "released_at")

    def has_change_permission(self, _request: HttpRequest, _obj: KillSwitch | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: KillSwitch | None = None) -> bool:
        return False

    @admin.display(boolean=True)
    def is_active(self, halt: KillSwitch) -> bool:
        return halt.released_at is None

    def save_model(self, request: HttpRequest, obj: KillSwitch, _form: Any, _change: bool) -> None:
        thrown = halt_throw(
            level=obj.level,
            broker=obj.broker,
            deployment_id=obj.deployment_id,
            now=timezone.now(),
            **by_hand(request) | {"reason": obj.reason},
        )
        obj.pk = thrown.pk

    @admin.action(description="Release", permissions=["act"])
    def release(self, request: HttpRequest, rows: QuerySet[KillSwitch]) -> None:
        self.act_on(request, rows, halt_release, key="halt_id", **by_hand(request))


@admin.register(HaltEffect)
class HaltEffectAdmin(ReadOnlyDesk):
    list_display = ("kill_switch", "deployment", "from_step", "until_step")
    list_select_related = ("kill_switch__deployment", "deployment")
    deferred = ("deployment__checkpoint", "kill_switch__deployment__checkpoint")
    search_fields = ("deployment__name",)
    ordering = ("-id",)
