"""Strategies, versions, deployments and signals in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.web.admin import Desk, ReadOnlyDesk, by_hand, shown
from strategies.domain.base import BadParameters, UnknownStrategy, build
from strategies.domain.registry import find
from strategies.models import Command, Deployment, Due, Signal, Strategy, StrategyVersion
from strategies.services.lifecycle import (
    deployment_configure,
    deployment_flatten,
    deployment_pause,
    deployment_release_quarantine,
    deployment_start,
    deployment_stop,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

CONFIGURABLE = ("params", "execution")


@admin.register(Strategy)
class StrategyAdmin(Desk):
    list_display = ("name", "title", "is_enabled")
    list_filter = ("is_enabled",)
    search_fields = ("name", "title")
    ordering = ("name",)


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnlyDesk):
    """Written when the code of a strategy is registered."""

    list_display = ("strategy", "version", "source_hash", "created_at")
    list_filter = ("strategy",)
    list_select_related = ("strategy",)
    search_fields = ("strategy__name", "version", "source_hash")
    ordering = ("strategy__name", "-id")


class DeploymentForm(forms.ModelForm):
    """A deployment changes only while it is stopped, and only to parameters that its strategy takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & set(CONFIGURABLE):
            self.fields[name].required = False  # {} is an answer: the strategy's defaults

    def clean_params(self) -> dict[str, Any]:
        return self.cleaned_data["params"] or {}

    def clean_execution(self) -> dict[str, Any]:
        return self.cleaned_data["execution"] or {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.instance._state.adding and self.instance.status != DeploymentStatus.STOPPED:
            raise ValidationError("Stop the deployment before you change it.")
        version = cleaned.get("strategy_version") or getattr(self.instance, "strategy_version", None)
        if version is not None and "params" in cleaned:
            self._check_params(version.strategy.name, cleaned["params"])
        return cleaned

    def _check_params(self, strategy: str, params: dict[str, Any]) -> None:
        try:
            build(find(strategy), params)
        except (BadParameters, UnknownStrategy) as error:
            self.add_error("params", str(error))


class DeploymentAdmin(Desk):
    """The page of deployments but for making one, which concerns more apps: `alphapanda.admin` registers it."""

    form = DeploymentForm
    deferred = ("checkpoint",)
    audited_by_services = frozenset({"change"})
    list_display = (
        "name",
        "strategy_version",
        "broker",
        "status",
        "shard",
        "step",
        "waiting",
        shown("at_ms", "last event"),
        "error",
    )
    list_filter = ("status", "broker", "shard", "waiting", "strategy_version__strategy")
    list_select_related = ("strategy_version__strategy",)
    search_fields = ("name", "strategy_version__strategy__name", "instruments__tradingsymbol", "=id")
    autocomplete_fields = ("instruments", "strategy_version")
    ordering = ("name",)
    actions = ("start", "pause", "flatten", "stop", "release")
    fixed = ("name", "strategy_version", "broker", "instruments")
    watched = (
        "status",
        "shard",
        "partition",
        "step",
        shown("at_ms", "last event"),
        "waiting",
        "waiting_since",
        shown("consequences"),
        "error",
        "revision",
        "checkpointed_at",
    )

    def get_fields(self, _request: HttpRequest, obj: Deployment | None = None) -> tuple[Any, ...]:
        asked = (*self.fixed, *CONFIGURABLE)
        return asked if obj is None else (*asked, *self.watched)

    def get_readonly_fields(self, _request: HttpRequest, obj: Deployment | None = None) -> tuple[Any, ...]:
        return () if obj is None else (*self.fixed, *self.watched)

    def has_delete_permission(self, _request: HttpRequest, _obj: Deployment | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Deployment, form: Any, change: bool) -> None:
        """A change goes through the service, which never touches a checkpoint."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name in CONFIGURABLE}
        deployment_configure(deployment_id=obj.pk, changes=changes, now=timezone.now(), **by_hand(request))

    @admin.action(description="Start", permissions=["act"])
    def start(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_start, key="deployment_id", **by_hand(request))

    @admin.action(description="Pause (no entries, exits pass)", permissions=["act"])
    def pause(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_pause, key="deployment_id", **by_hand(request))

    @admin.action(description="Flatten (pause, and close positions at the market)", permissions=["act"])
    def flatten(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_flatten, key="deployment_id", **by_hand(request))

    @admin.action(description="Stop", permissions=["act"])
    def stop(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_stop, key="deployment_id", **by_hand(request))

    @admin.action(description="Release from quarantine", permissions=["act"])
    def release(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_release_quarantine, key="deployment_id", **by_hand(request))


@admin.register(Signal)
class SignalAdmin(ReadOnlyDesk):
    list_display = (
        shown("at_ms", "event time"),
        "deployment",
        "broker",
        "instrument",
        "side",
        "quantity",
        "kind",
        "order_type",
        shown("limit_price_e4"),
        "reason",
        "origin",
        "state",
    )
    list_filter = ("state", "origin", "broker", "side", ("deployment", AutocompleteSelectFilter))
    list_select_related = ("deployment", "instrument")
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "=correlation_id", "deployment__name", "instrument__tradingsymbol", "reason")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(Command)
class CommandAdmin(ReadOnlyDesk):
    list_display = ("deployment", "kind", "reason", "actor", "step", "created_at", "taken_at")
    list_filter = ("kind",)
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "deployment__name", "reason", "actor")
    ordering = ("-created_at",)


@admin.register(Due)
class DueAdmin(ReadOnlyDesk):
    list_display = ("deployment", "step", "state", "created_at")
    list_filter = ("state",)
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "deployment__name")
    ordering = ("-created_at",)
