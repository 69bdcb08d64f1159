"""Users, roles, the audit trail, broker accounts, logins and tokens in the admin."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.broker import credentials_changed
from accounts.forms import BrokerAccountForm
from accounts.models import ApiKey, AuditEntry, BrokerAccount, BrokerLogin, BrokerSession, LiveAct, Look, User
from accounts.selectors import with_sessions
from alphapanda.web.admin import Desk, ReadOnlyDesk

for model in (Group, BlacklistedToken, OutstandingToken):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Desk):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    not_compared = frozenset({"last_login"})

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """The audit trail, clearances and deployments know a person by name: nobody takes that of another."""
        fixed = () if obj is None else ("username",)
        return (*super().get_readonly_fields(request, obj), *fixed)

    list_display = ("username", "roles", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "groups")

    @admin.display
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    def get_queryset(self, request: HttpRequest) -> object:
        return super().get_queryset(request).prefetch_related("groups")

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """In one transaction with its audit entry; Django's page begins none."""
        with transaction.atomic():
            return super().user_change_password(request, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        """With a person goes how pages look to them, which the person chose: it wants no permission of its own."""
        found, counts, wanted, protected = super().get_deleted_objects(objs, request)
        return found, counts, wanted - {Look._meta.verbose_name}, protected


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Desk):
    pass


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyDesk):
    list_display = ("at", "actor", "action", "target", "reason", "ip")
    list_filter = ("action", "actor")
    search_fields = ("actor", "action", "target", "reason")
    date_hierarchy = "at"
    ordering = ("-id",)


@admin.register(BrokerAccount)
class BrokerAccountAdmin(Desk):
    """The API secret can be written and is never shown. The login itself is on the page Broker."""

    form = BrokerAccountForm
    list_display = ("name", "broker", "user_id", "api_key", "is_active", "state")
    deferred = ("api_secret",)

    @admin.display
    def state(self, account: BrokerAccount) -> str:
        return with_sessions([account], now=timezone.now())[0].state

    def has_delete_permission(self, _request: HttpRequest, _obj: BrokerAccount | None = None) -> bool:
        return False  # its logins are history

    def save_model(
        self, request: HttpRequest, obj: BrokerAccount, form: BrokerAccountForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and form.changes_credentials():
            credentials_changed(obj, now=timezone.now())


@admin.register(BrokerSession)
class BrokerSessionAdmin(ReadOnlyDesk):
    list_display = ("account", "number", "logged_in_at", "logged_in_by", "dies_at", "ended_at", "ended_by")
    list_filter = ("account", "ended_by")
    list_select_related = ("account",)
    date_hierarchy = "logged_in_at"
    ordering = ("-logged_in_at",)
    deferred = exclude = ("access_token",)


@admin.register(BrokerLogin)
class BrokerLoginAdmin(ReadOnlyDesk):
    list_display = ("account", "actor", "started_at", "used_at", "outcome")
    list_filter = ("account",)
    list_select_related = ("account",)
    ordering = ("-started_at",)
    exclude = ("state_digest", "browser_digest")


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyDesk):
    """Failed logins that still count; deleting one lets its person in again."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    exclude = ("get_data", "post_data")

    def has_delete_permission(self, request: HttpRequest, obj: AccessAttempt | None = None) -> bool:
        return Desk.has_delete_permission(self, request, obj)


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyDesk):
    list_display = ("attempt_time", "username", "ip_address", "logout_time")
    search_fields = ("username", "ip_address")
    date_hierarchy = "attempt_time"
    exclude = ("session_hash",)


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(ReadOnlyDesk):
    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = ("locked_out",)
    search_fields = ("username", "ip_address")


@admin.register(OutstandingToken)
class OutstandingTokenAdmin(ReadOnlyDesk):
    """Refresh tokens that were given out, without the tokens themselves."""

    list_display = ("created_at", "user", "expires_at", "jti")
    list_select_related = ("user",)
    search_fields = ("user__username", "jti")
    exclude = ("token",)


@admin.register(BlacklistedToken)
class BlacklistedTokenAdmin(ReadOnlyDesk):
    list_display = ("blacklisted_at", "owner")
    list_select_related = ("token__user",)
    exclude = ("token",)

    @admin.display
    def owner(self, blacklisted: BlacklistedToken) -> str:
        return str(blacklisted.token.user)


@admin.register(Look)
class LookAdmin(ReadOnlyDesk):
    """How each person wants pages to look; they choose it on the page Look."""

    list_display = ("user", "theme", "palette", "density", "sound")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    ordering = ("user",)


@admin.register(LiveAct)
class LiveActAdmin(ReadOnlyDesk):
    """Terms acknowledged, passwords given again, readiness checks with what they found."""

    list_display = ("at", "kind", "actor", "version", "is_passed")
    list_filter = ("kind", "is_passed", "actor")
    search_fields = ("actor", "version")
    date_hierarchy = "at"
    ordering = ("-at", "-id")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyDesk):
    """Made and ended by their owners on the page API keys."""

    list_display = (
        "name",
        "owner",
        "scope",
        "begins",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("scope", "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    ordering = ("-created_at",)
    exclude = ("digest",)
