"""Addresses of the probes, with and without a last slash: probes do not follow redirects."""

from django.urls import re_path

from alphapanda.health import views

urlpatterns = [
    re_path(r"^live/?$", views.live, name="health-live"),
    re_path(r"^ready/?$", views.ready, name="health-ready"),
]
