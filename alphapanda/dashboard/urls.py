"""Addresses of the dashboard."""

from django.urls import path

from alphapanda.dashboard import health, views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("overview/snapshot", views.snapshot, name="overview-snapshot"),
    path("health/", health.page, name="health"),
]
