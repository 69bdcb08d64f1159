"""Limits, decisions and kill switches in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.web.admin import Desk, ReadOnlyDesk, by_hand, shown
from risk import approvals_admin as _approvals  # noqa: F401  registers its page
from risk import channels_admin as _channels  # noqa: F401  the same
from risk.domain.limits import Limits, given
from risk.loading import level_of
from risk.models import (
    AccountOutside,
    Alert,
    Decision,
    KillSwitch,
    LimitSet,
    LimitsInForce,
    LimitVersion,
    OversightChange,
    RiskState,
    StartOfDay,
)
from risk.services.alerts import alert_acknowledge
from risk.services.foresight import preview_as_json, preview_of
from risk.services.halts import halt_release, halt_throw

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


CONFIRMED = "_confirmed"  # posted by the page that shows what limits would have done


@admin.register(LimitSet)
class LimitSetAdmin(Desk):
    """Saving and deleting take two steps: what it would have done to past orders is shown between them."""

    list_display = (
        "__str__",
        "order_quantity",
        shown("order_value"),
        "position_quantity",
        shown("gross_exposure"),
        "daily_orders",
        shown("daily_loss"),
    )
    list_filter = ("level", "broker")
    list_select_related = ("deployment", "portfolio", "instrument")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("deployment__name", "portfolio__name", "instrument__tradingsymbol")
    autocomplete_fields = ("deployment", "portfolio", "instrument")
    ordering = ("level", "broker")
    fieldsets = (
        ("What is limited", {"fields": ("level", "broker", "portfolio", "deployment", "instrument")}),
        (
            "One order",
            {
                "fields": (
                    ("order_quantity", "order_value"),
                    ("collar_percent", "collar_ticks"),
                    ("price_age_ms", "price_jump_percent"),
                    "duplicate_ms",
                    ("restricted", "allowed"),
                    "products",
                    ("entries_from", "entries_until", "expiry_until"),
                )
            },
        ),
        ("One deployment", {"fields": ("position_quantity", ("repeated_entries", "repeated_ms"))}),
        (
            "Added up over what is limited",
            {
                "fields": (
                    ("gross_exposure", "net_exposure"),
                    ("underlying_exposure", "margin"),
                    ("daily_loss", "loss_cancel", "loss_flatten"),
                    "drawdown",
                    ("orders_per_second", "orders_per_minute", "daily_orders"),
                    ("exit_lane", "self_trade"),
                )
            },
        ),
    )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        *args: Any,
        **kwargs: Any,
    ) -> HttpResponse:
        if request.method == "POST" and CONFIRMED not in request.POST and self._may_save(request, object_id):
            found = self._previewed(request, object_id)
            if found is not None:
                return found
        return super().changeform_view(request, object_id, form_url, *args, **kwargs)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or request.method == "POST" or not self.has_delete_permission(request, row):
            return super().delete_view(request, object_id, extra_context)
        found = preview_as_json(preview_of(None, replaced=row))
        title = f"Without the limits of {row}: what would have been let through"
        return self._page(request, found, title=title, act="Remove these limits", before=row.limits)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the one that removes many at once and shows nothing before."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def _may_save(self, request: HttpRequest, object_id: str | None) -> bool:
        return self.has_change_permission(request) if object_id else self.has_add_permission(request)

    def _previewed(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """The page between; None where the form does not fit or is out of date, which the form itself says better."""
        row = self.get_object(request, object_id) if object_id else None
        if row is not None and self.changed_meanwhile(request, row):
            return None
        before = Limits() if row is None else row.limits
        form = self.get_form(request, row)(request.POST, instance=row)
        if not form.is_valid():
            return None
        wished = form.instance
        level = level_of(wished)
        found = preview_as_json(preview_of(level, replaced=row), level)
        title = f"Limits of {wished}: what they would have done"
        return self._page(
            request, found, title=title, act="Save these limits", before=before, after=wished.limits
        )

    def _page(
        self,
        request: HttpRequest,
        found: dict[str, Any],
        *,
        title: str,
        act: str,
        before: Limits,
        after: Limits | None = None,
    ) -> HttpResponse:
        """What a change would have done, and the button that makes it."""
        context = self.admin_site.each_context(request) | {
            "title": title,
            "act": act,
            "opts": self.opts,
            "preview": found,
            "changed": _changed(before, after or Limits()),
            "back": reverse("admin:risk_limitset_changelist"),
            "posted": [(name, one) for name, many in request.POST.lists() for one in many],
            "confirmed": CONFIRMED,
        }
        return TemplateResponse(request, "risk/confirm_limits.html", context)


def _changed(before: Limits, after: Limits) -> list[tuple[str, str, str]]:
    """The limits that differ: name, what is now, what would be."""
    now, then = given(before), given(after)
    names = [name for name in Limits.__struct_fields__ if now.get(name) != then.get(name)]
    return [(name, str(now.get(name, "none")), str(then.get(name, "none"))) for name in names]


@admin.register(LimitVersion)
class LimitVersionAdmin(ReadOnlyDesk):
    """Limits as they were in force, by the name that decisions carry."""

    list_display = ("version", "created_at")
    search_fields = ("version",)
    ordering = ("-created_at",)


@admin.register(LimitsInForce)
class LimitsInForceAdmin(ReadOnlyDesk):
    list_display = ("deployment", "version", "since")
    list_select_related = ("deployment", "version")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("deployment__name", "version__version")
    ordering = ("deployment__name",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyDesk):
    list_display = (
        "raised_at",
        "severity",
        "code",
        "subject",
        "text",
        "times",
        "acknowledged_by",
        "acknowledged_at",
    )
    list_filter = ("severity", "code", ("acknowledged_at", admin.EmptyFieldListFilter))
    search_fields = ("subject", "text", "code")
    date_hierarchy = "raised_at"
    ordering = ("-raised_at",)
    actions = ("acknowledge",)

    @admin.action(description="Acknowledge", permissions=["act"])
    def acknowledge(self, request: HttpRequest, rows: QuerySet[Alert]) -> None:
        self.act_on(request, rows, alert_acknowledge, key="alert_id", **by_hand(request))


@admin.register(StartOfDay)
class StartOfDayAdmin(ReadOnlyDesk):
    list_display = ("day", "is_passed", "checked_by", "checked_at")
    list_filter = ("is_passed",)
    search_fields = ("checked_by",)
    ordering = ("-day",)


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
        "step",
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
        asked = ("level", "broker", "deployment", "step", "reason")
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
            step=obj.step,
            now=timezone.now(),
            **by_hand(request) | {"reason": obj.reason},
        )
        obj.pk = thrown.pk

    @admin.action(description="Release", permissions=["act"])
    def release(self, request: HttpRequest, rows: QuerySet[KillSwitch]) -> None:
        self.act_on(request, rows, halt_release, key="halt_id", **by_hand(request))


@admin.register(AccountOutside)
class AccountOutsideAdmin(ReadOnlyDesk):
    list_display = ("broker", "told_at", "rows")


@admin.register(OversightChange)
class OversightChangeAdmin(ReadOnlyDesk):
    list_display = ("deployment", "from_step", "status", "halts", "guards", "limits", "is_look", "created_at")
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint",)
    search_fields = ("deployment__name",)
    ordering = ("-id",)
