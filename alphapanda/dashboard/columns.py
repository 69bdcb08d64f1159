"""Which columns of a table a person wants to see. A table hides the others by a class of its own, so that rows are the
same for everybody: in the page, in its snapshot and in what is pushed."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.models import Look
from alphapanda.dashboard import frame
from alphapanda.dashboard.access import viewer_required

# Kinds of rows with a choice.
CHOSEN = ("positions", "traded", "orders", "fills", "signals", "trips", "traders", "limits", "checks")
ALWAYS = (
    "acts",
    "cancel",
    "exit",
)  # nothing stands in their way; nor is the first column hidden, which leads on
BAD_REQUEST = 400
_HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)


class Column(NamedTuple):
    """A column by its place, from 1 on."""

    number: int
    name: str
    title: str


@lru_cache(maxsize=len(CHOSEN))
def of_kind(kind: str) -> tuple[Column, ...]:
    """The columns of a table that may be hidden, as its head has them; one of a title that stood before is numbered."""
    found: list[Column] = []
    for number, words in enumerate(_HEAD.findall(render_to_string(f"dashboard/heads/{kind}.html")), start=1):
        title = unescape(strip_tags(words)).strip()
        name, again = slugify(title) or "percent", sum(one.title == title for one in found)
        found.append(Column(number, f"{name}-{again + 1}" if again else name, title))
    return tuple(one for one in found[1:] if one.name not in ALWAYS)


def hidden(look: Look, kind: str) -> list[Column]:
    """The columns that a person does not want to see."""
    unwanted = look.hidden.get(kind, [])
    return [one for one in of_kind(kind) if one.name in unwanted] if kind in CHOSEN else []


class ColumnsForm(forms.Form):
    """The columns of a table that are to be seen."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in CHOSEN])
    shown = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        kind = self.data.get("kind", "")
        columns = of_kind(kind) if kind in CHOSEN else ()
        self.fields["shown"].choices = [(one.name, one.title) for one in columns]


@never_cache
@require_POST
@viewer_required
def choose(request: HttpRequest) -> HttpResponse:
    """Keep what is to be seen of a table, and go back to where that was said."""
    form, look = ColumnsForm(request.POST), frame.look_of(request.user)
    if not form.is_valid():
        words = " ".join(str(one) for found in form.errors.values() for one in found)
        return render(request, "dashboard/no_columns.html", {"words": words}, status=BAD_REQUEST)
    kind, shown = form.cleaned_data["kind"], form.cleaned_data["shown"]
    look.hidden = look.hidden | {kind: [one.name for one in of_kind(kind) if one.name not in shown]}
    look.save()
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if is_ours else "look")
