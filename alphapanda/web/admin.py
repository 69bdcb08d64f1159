"""What admin pages of all apps share: audited acts, read-only tables, rupees, IST, readable JSON."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import DataError, models, transaction
from django.forms.models import model_to_dict
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from alphapanda.core.clock import to_ms
from alphapanda.core.money import to_rupees
from alphapanda.core.refusals import Conflict, Refusal
from alphapanda.web.formats import ist_exact, pretty, rupees_exact
from alphapanda.web.roles import Role, roles_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

BYTES_SHOWN = 4000
# a year 0, a key of no kind, a character that no column holds
UNFINDABLE = (ValidationError, ValueError, OverflowError, DataError)
UNTOLD = re.compile("password|secret")  # fields whose values no audit entry holds
AS_READ = "_as_read"  # what a form was opened with, as posted with it


class ChangedMeanwhile(Conflict):
    """Somebody has saved a row since its form was opened, which holds all fields: saving it would undo that."""


def shown(name: str, label: str = "") -> Callable[[Model], Any]:
    """A column of a field, written for people: prices and amounts as ₹, event times in IST, JSON indented."""

    def column(row: Model) -> Any:
        return _for_people(row, name)

    column.__name__ = name
    column.short_description = label or name.removesuffix("_e4").removesuffix("_ms").replace("_", " ")
    column.admin_order_field = name
    return column


def _for_people(row: Model, name: str) -> Any:
    field, value = row._meta.get_field(name), getattr(row, name)
    if value is None:
        return None
    if name.endswith("_e4"):
        return rupees_exact(to_rupees(value))
    if name.endswith(("at_ms", "from_ms")):
        return _instant(value)
    if isinstance(field, models.DateTimeField):
        return _instant(to_ms(value))
    if isinstance(field, models.ForeignKey):
        return link(_page_of(value), value)
    if isinstance(field, models.DecimalField):
        return rupees_exact(value)
    if isinstance(field, models.JSONField):
        return format_html("<pre>{}</pre>", pretty(value))
    if isinstance(field, models.TextField) and "\n" in value:
        return format_html("<pre>{}</pre>", value)
    if isinstance(field, models.BinaryField):
        return format_html("<pre>{}</pre>", _text(bytes(value)))
    return value


def _instant(at_ms: int) -> str:
    """On one line, and without the thousandths of a recorded bar: a narrow column would break it into three."""
    return format_html('<span class="whitespace-nowrap">{}</span>', ist_exact(at_ms).replace(".000 ", " "))


def link(address: str, text: Any) -> str:
    """A link that looks like one: unfold shows plain links in a list as text."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, text)


def _page_of(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def _text(raw: bytes) -> str:
    try:
        text = raw[:BYTES_SHOWN].decode()
    except UnicodeDecodeError:
        text = raw[: BYTES_SHOWN // 4].hex(" ")
    return f"{text} … ({len(raw)} bytes)" if len(raw) > BYTES_SHOWN else text


class Desk(ModelAdmin):
    """An admin page whose acts go to the audit trail, in the transaction of the act."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    list_filter_submit = True
    change_form_before_template = "as_read.html"
    deferred: tuple[str, ...] = ()  # heavy columns that no page here shows
    not_compared: frozenset[str] = frozenset()  # fields of the form that the machine writes
    audited_by_services: frozenset[str] = frozenset()  # acts of which a service writes the audit entry

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer(*self.deferred)

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        is_act = request.method == "POST"
        try:
            with transaction.atomic():
                if not is_act:
                    return super().changelist_view(request, extra_context)
                self._look_up_chosen(request)
        except UNFINDABLE as error:
            if not (is_act or request.GET):
                raise
            said = " ".join(getattr(error, "messages", [str(error)]))
            messages.error(request, f"What is asked for cannot be looked up: {said}")
            return HttpResponseRedirect(request.path)
        with transaction.atomic():  # an error of the act itself is ours, and is told as such
            return super().changelist_view(request, extra_context)

    def _look_up_chosen(self, request: HttpRequest) -> None:
        """Look for the rows that an act is to be done to, on the list that its address names. Raises UNFINDABLE."""
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:  # Django's page says it
            return
        rows.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME)).exists()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """None for what is no row's key, also where the database is the first that says so."""
        try:
            with transaction.atomic():
                return super().get_object(request, object_id, from_field)
        except DataError:
            return None

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            with transaction.atomic():
                if request.method == "POST" and object_id:
                    self._check_as_read(request, object_id)
                return super().changeform_view(request, object_id, *args, **kwargs)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Model | None = None, **more: Any
    ) -> HttpResponse:
        read = request.POST.get(AS_READ, "")  # shown again, with what is wrong: it was opened before that
        if request.method != "POST" and obj and self.has_change_permission(request, obj):
            read = self._as_read(request, obj)
        return super().render_change_form(request, context | {"as_read": read}, *args, obj=obj, **more)

    def changed_meanwhile(self, request: HttpRequest, row: Model) -> bool:
        """Whether a row is another one than the form was opened with that was posted."""
        read = request.POST.get(AS_READ)
        return bool(read) and read != self._as_read(request, row)

    def _check_as_read(self, request: HttpRequest, object_id: str) -> None:
        """Two people may have one form open: the second is told. Locks the row. Raises ChangedMeanwhile."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return
        locked = self.model._base_manager.select_for_update(no_key=True)
        locked.filter(pk=row.pk).values_list("pk").first()
        if self.changed_meanwhile(request, self.get_object(request, unquote(object_id)) or row):
            raise ChangedMeanwhile(
                f"Somebody has changed {row} since you opened it: look at it anew. Nothing of yours was saved."
            )

    def _as_read(self, request: HttpRequest, row: Model) -> str:
        """What a form shows of a row, as a digest."""
        names = set(self.get_form(request, row, change=True).base_fields) - self.not_compared
        values = {
            name: sorted(str(getattr(one, "pk", one)) for one in value) if isinstance(value, list) else value
            for name, value in model_to_dict(row, fields=names).items()
        }
        return sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "add", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for row in queryset:
            self._record(request, "delete", row, "")
        return super().log_deletions(request, queryset)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        names = [name for name in form.changed_data if not UNTOLD.search(name)]
        request.desk_changes = {
            name: [str(form.initial.get(name)), str(form.cleaned_data.get(name))] for name in names
        }
        super().save_model(request, obj, form, change)

    def act_on(
        self, request: HttpRequest, rows: QuerySet, service: Callable[..., Any], *, key: str, **facts: Any
    ) -> None:
        """Call a service for each chosen row and tell the operator how it went."""
        for row in rows:
            try:
                service(**{key: row.pk}, now=timezone.now(), **facts)
            except Refusal as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
            else:
                self.message_user(request, f"Done: {row}", messages.SUCCESS)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Acts on live trading are for operators."""
        return Role.OPERATOR in roles_of(request.user)

    def _record(self, request: HttpRequest, verb: str, obj: Model, message: Any) -> None:
        if verb in self.audited_by_services:
            return
        self.admin_site.record(
            request,
            action=f"{obj._meta.model_name}.{verb}",
            target=f"{obj._meta.model_name}:{obj}",
            details={"message": message, "changes": getattr(request, "desk_changes", {}), "pk": str(obj.pk)},
            now=timezone.now(),
        )


class ReadOnlyDesk(Desk):
    """A table that only the machine writes: nothing can be added, changed or deleted here."""

    def has_add_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        return False

    def get_fields(self, _request: HttpRequest, _obj: Model | None = None) -> list[Any]:
        return [shown(field.name) for field in self.opts.fields if field.name not in (self.exclude or ())]


def by_hand(request: HttpRequest) -> dict[str, Any]:
    """Who acts in the admin, as services ask for it."""
    return {
        "actor": request.user.get_username(),
        "reason": "by hand in the admin",
        "ip": request.META.get("REMOTE_ADDR"),
    }
