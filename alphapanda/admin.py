"""The admin page of deployments: making one concerns strategies, portfolio and risk, so it is wired here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from unfold.widgets import UnfoldAdminSelectWidget

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Product
from alphapanda.research import admin as _backtests  # noqa: F401  registers its page
from alphapanda.shadows import SAME, shadow_compare, shadow_create
from alphapanda.web.admin import by_hand, link
from alphapanda.web.formats import UNKNOWN
from execution.domain.settings import SETTINGS_BY_BROKER, settings_of
from execution.services.corporate import corporate_action_apply
from portfolio.admin import CorporateActionAdmin
from portfolio.models import Book, CorporateAction, Portfolio
from strategies.admin import DeploymentAdmin
from strategies.forms import DeploymentForm
from strategies.models import Deployment

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


DIFFERENCES_SHOWN = 200
_SETTINGS = "; ".join(
    f"at {broker}: {', '.join(kind.__struct_fields__)}" for broker, kind in SETTINGS_BY_BROKER.items()
)


class ConfiguredDeployment(DeploymentForm):
    """Checks also how orders are carried out, which strategies know nothing of."""

    def clean_execution(self) -> dict[str, Any]:
        execution = super().clean_execution()
        try:
            given = {name: value for name, value in execution.items() if name != "product"}
            broker = self.cleaned_data.get("broker") or self.instance.broker
            settings_of(given, Broker(broker or Broker.PAPER))
            Product(execution.get("product", Product.MIS))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return execution


class NewDeployment(ConfiguredDeployment):
    """What a deployment is made of; `definition` holds it when the form is valid."""

    portfolio = forms.ModelChoiceField(
        Portfolio.objects.order_by("name"), help_text="of the same broker", widget=UnfoldAdminSelectWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["execution"].help_text = f"how orders are carried out, as JSON: product; {_SETTINGS}"
        portfolios = list(Portfolio.objects.all()[:2])
        if len(portfolios) == 1:
            self.initial.setdefault("portfolio", portfolios[0].pk)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        portfolio, version = cleaned.get("portfolio"), cleaned.get("strategy_version")
        if portfolio and portfolio.broker != cleaned.get("broker"):
            self.add_error("portfolio", f"{portfolio} belongs to {portfolio.broker}.")
        if version and not version.is_installed:
            self.add_error("strategy_version", "Only the version that is installed can be deployed.")
        if not self.errors:
            self._define(cleaned)
        return cleaned

    def _define(self, cleaned: dict[str, Any]) -> None:
        execution = dict(cleaned["execution"])
        self.definition = deploying.Definition(
            name=cleaned["name"],
            strategy=cleaned["strategy_version"].strategy.name,
            instruments=tuple(map(str, cleaned["instruments"])),
            params=cleaned["params"],
            broker=Broker(cleaned["broker"]),
            product=Product(execution.pop("product", Product.MIS)),
            execution=execution,
        )


@admin.register(Deployment)
class DeploymentDesk(DeploymentAdmin):
    """A new deployment is born stopped; limits are given to it on their own page."""

    form = ConfiguredDeployment
    fixed = (*DeploymentAdmin.fixed, "portfolio")
    watched = ("difference", *DeploymentAdmin.watched)
    actions = (*DeploymentAdmin.actions, "shadow")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.difference_view)
        return [path("<uuid:pk>/difference/", view, name="shadow_difference"), *super().get_urls()]

    def difference_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """How a shadow has decided otherwise than its original, the newest first."""
        row = self.get_object(request, str(pk))
        if row is None or not self.has_view_permission(request, row):
            raise PermissionDenied
        found = shadow_compare(row.name)
        rows = [one for one in reversed(found.differences) if one.verdict != SAME]
        context = self.admin_site.each_context(request) | {
            "title": f"{found.shadow} beside {found.original}",
            "opts": self.opts,
            "found": found,
            "rows": rows[:DIFFERENCES_SHOWN],
            "is_cut": len(rows) > DIFFERENCES_SHOWN,
        }
        return TemplateResponse(request, "strategies/shadow.html", context)

    @admin.display(description="Shadows")
    def difference(self, deployment: Deployment) -> str:
        """To the pages that tell how shadows differ."""
        shadows = [deployment] if deployment.shadow_of_id else deployment.shadows.order_by("name")
        links = [(link(reverse("admin:shadow_difference", args=[one.pk]), one.name),) for one in shadows]
        return format_html_join(", ", "{}", links) or UNKNOWN

    @admin.action(description="Shadow: the installed code decides beside it, on paper", permissions=["act"])
    def shadow(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self.act_on(request, rows, shadow_create, key="deployment_id", **by_hand(request))

    def get_form(self, request: HttpRequest, obj: Deployment | None = None, **options: Any) -> Any:
        form = self.form if obj else NewDeployment
        return super().get_form(request, obj, **{"form": form} | options)

    def portfolio(self, deployment: Deployment) -> Portfolio | None:
        book = Book.objects.filter(pk=deployment.pk).select_related("portfolio").first()
        return book.portfolio if book else None

    def save_model(self, request: HttpRequest, obj: Deployment, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = deploying.create(
            form.definition,
            portfolio_id=form.cleaned_data["portfolio"].pk,
            status=DeploymentStatus.STOPPED,
        )
        obj.pk = made.pk
        request.desk_changes = msgspec.to_builtins(form.definition)
        self.message_user(request, "It is stopped: tick its line and run Start.", messages.INFO)


@admin.register(CorporateAction)
class CorporateActionDesk(CorporateActionAdmin):
    """Applied once, with the deployments that hold the share standing still."""

    actions = ("apply",)

    @admin.action(description="Apply to all books", permissions=["act"])
    def apply(self, request: HttpRequest, rows: QuerySet[CorporateAction]) -> None:
        self.act_on(request, rows, corporate_action_apply, key="action_id", **by_hand(request))
