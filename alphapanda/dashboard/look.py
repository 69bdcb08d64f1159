"""How pages look to a person: theme, colours and density, stored with the user, so that the first paint is right."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import Look
from alphapanda.dashboard import frame
from alphapanda.dashboard.access import broker_of, viewer_required

BAD_REQUEST = 400


class LookForm(forms.ModelForm):
    """What is not named stays as it is, so that one button may change the theme alone."""

    class Meta:
        model = Look
        fields = ("theme", "palette", "density", "sound")
        labels = {"palette": "Profit and loss, ups and downs", "density": "Rows", "sound": "Critical alerts"}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name in self.fields:
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        return cleaned | {name: getattr(self.instance, name) for name in self.fields if not cleaned.get(name)}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def page(request: HttpRequest) -> HttpResponse:
    """A form of few choices; who asks for JSON is told what stands."""
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    if request.method != "POST" and frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    form = LookForm(request.POST or None, instance=frame.look_of(request.user))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Kept for you, on every machine that you log in from.")
        return redirect("look")
    status = BAD_REQUEST if form.errors else 200
    return frame.shown(request, "look", "dashboard/look.html", {"form": form}, live=live, status=status)
