"""Strategies, versions, deployments and signals in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from alphapanda.web.admin import Desk, ReadOnlyDesk, by_hand, link, shown
from strategies.domain.errors import in_short
from strategies.forms import CONFIGURABLE, DeploymentForm
from strategies.models import (
    Command,
    Deployment,
    Due,
    Report,
    Signal,
    Strategy,
    StrategyFile,
    StrategyVersion,
)
from strategies.services.catalogue import catalogue_refresh
from strategies.services.lifecycle import (
    deployment_configure,
    deployment_flatten,
    deployment_pause,
    deployment_release_quarantine,
    deployment_start,
    deployment_stop,
)
from strategies.services.upgrades import deployment_upgrade

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


FAULTY_MAX = 5  # files whose faults are told at once


class Refreshed:
    """A list that looks at the files of strategies first, so that a file that was dropped in is there."""

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        catalogue_refresh()
        return super().changelist_view(request, extra_context)  # type: ignore[misc]


@admin.register(Strategy)
class StrategyAdmin(Refreshed, Desk):
    """Known from its file: its name is that of the class there, by which deployments load it."""

    readonly_fields = ("name",)
    list_display = ("name", "title", "is_enabled")
    list_filter = ("is_enabled",)
    search_fields = ("name", "title")
    ordering = ("name",)

    def has_add_permission(self, _request: HttpRequest, _obj: Strategy | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Strategy | None = None) -> bool:
        return False


@admin.register(StrategyVersion)
class StrategyVersionAdmin(Refreshed, ReadOnlyDesk):
    """Written when a file of strategies is seen for the first time."""

    list_display = (
        "strategy",
        "version",
        "short_hash",
        "file",
        "origin",
        "is_installed",
        "acts",
        "created_at",
    )
    list_filter = ("is_installed", "origin", "strategy")
    list_select_related = ("strategy",)
    deferred = ("schema",)
    search_fields = ("strategy__name", "version", "source_hash", "file")
    ordering = ("-is_installed", "strategy__name", "-id")

    @admin.display(description="hash", ordering="source_hash")
    def short_hash(self, version: StrategyVersion) -> str:
        return version.source_hash[:8]

    @admin.display(description="")
    def acts(self, version: StrategyVersion) -> str:
        """To the forms of a new deployment and of a backtest, with an input for each parameter."""
        if not version.is_installed:
            return ""
        deploy = f"{reverse('admin:strategies_deployment_add')}?strategy_version={version.pk}"
        backtest = f"{reverse('admin:strategies_backtestrun_add')}?strategy={version.strategy.name}"
        return format_html(
            '<span class="whitespace-nowrap">{} · {}</span>',
            link(deploy, "Deploy"),
            link(backtest, "Backtest"),
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """With what is wrong with files of which nothing is listed."""
        answer = super().changelist_view(request, extra_context)
        if request.method == "GET":
            for row in StrategyFile.objects.exclude(faults=[]).order_by("file")[:FAULTY_MAX]:
                self.message_user(request, f"{row.file}: {row.what_is_wrong}", messages.WARNING)
        return answer


@admin.register(StrategyFile)
class StrategyFileAdmin(Refreshed, ReadOnlyDesk):
    """What was seen in the folder, in packages and among what ships, and what is wrong with it."""

    list_display = ("file", "origin", "names", "what_is_wrong", "changed_at")
    list_filter = ("origin",)
    search_fields = ("file", "strategies", "faults")
    ordering = ("file",)

    @admin.display(description="strategies")
    def names(self, row: StrategyFile) -> str:
        return ", ".join(row.strategies)

    @admin.display(description="faults")
    def what_is_wrong(self, row: StrategyFile) -> str:
        return row.what_is_wrong


class DeploymentAdmin(Desk):
    """The page of deployments but for making one, which concerns more apps: `alphapanda.admin` registers it."""

    form = DeploymentForm
    deferred = ("checkpoint", "strategy_version__source", "strategy_version__schema")
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
        "fault",
    )
    list_filter = ("status", "broker", "shard", "waiting", "strategy_version__strategy")
    list_select_related = ("strategy_version__strategy",)
    search_fields = ("name", "strategy_version__strategy__name", "instruments__tradingsymbol", "=id")
    autocomplete_fields = ("instruments", "strategy_version")
    ordering = ("name",)
    actions = ("start", "pause", "flatten", "stop", "release", "upgrade")
    fixed = ("name", "strategy_version", "broker", "instruments")
    watched = (
        "shadow_of",
        "status",
        "shard",
        "partition",
        "step",
        shown("at_ms", "last event"),
        "waiting",
        "waiting_since",
        shown("consequences"),
        shown("error"),
        "revision",
        "checkpointed_at",
    )

    @admin.display(description="error", ordering="error")
    def fault(self, deployment: Deployment) -> str:
        """The line that says what was wrong; all of it is on the deployment's page."""
        return in_short(deployment.error)

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

    @admin.action(description="Upgrade to the installed code, keeping the memory", permissions=["act"])
    def upgrade(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, deployment_upgrade, key="deployment_id", **by_hand(request))


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


@admin.register(Report)
class ReportAdmin(ReadOnlyDesk):
    """What a broker outside said of a deployment's orders."""

    list_display = ("deployment", "number", "step", "created_at", "booked_at", "told_at")
    list_filter = (("told_at", admin.EmptyFieldListFilter), ("deployment", AutocompleteSelectFilter))
    list_select_related = ("deployment",)
    deferred = ("deployment__checkpoint", "deployment__consequences")
    search_fields = ("=id", "deployment__name")
    ordering = ("-created_at",)
