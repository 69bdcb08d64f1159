"""Addresses of the dashboard."""

from django.urls import path

from alphapanda.dashboard import broker, health, views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("overview/snapshot", views.snapshot, name="overview-snapshot"),
    path("broker/", broker.page, name="broker"),
    path("broker/login/", broker.login, name="broker-login"),
    path("broker/callback/", broker.callback, name="broker-callback"),
    path("broker/logout/", broker.logout, name="broker-logout"),
    path("health/", health.page, name="health"),
]
