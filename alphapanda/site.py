"""The admin site: every act by hand goes to the audit trail and to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.http import HttpResponseRedirect
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from accounts.services import act_record

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse


class DeskSite(UnfoldAdminSite):
    """Unfold's site with the audit trail behind it; admin classes of lower layers call `record`."""

    site_url = "/"
    # what an operator comes for first, what the machine keeps for itself last
    order = ("strategies", "risk", "portfolio", "execution", "marketdata", "accounts", "eventlog")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        places = {name: place for place, name in enumerate(self.order)}
        found = super().get_app_list(request, app_label)
        return sorted(found, key=lambda app: places.get(app["app_label"], len(places)))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A person's own password: Django's page writes no entry of it."""
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            if request.method == "POST" and isinstance(answer, HttpResponseRedirect):
                facts = {"message": "Changed the own password.", "changes": {}, "pk": str(request.user.pk)}
                target = f"user:{request.user.get_username()}"
                self.record(request, action="user.change", target=target, details=facts, now=timezone.now())
        return answer

    def record(
        self, request: HttpRequest, *, action: str, target: str, details: dict[str, Any], now: datetime
    ) -> None:
        """Audit an act and tell the log of it, in the transaction of the act."""
        act_record(
            actor=request.user.get_username(),
            action=action,
            target=target,
            reason="by hand in the admin",
            details=details,
            now=now,
            ip=request.META.get("REMOTE_ADDR"),
        )
