"""All addresses."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/", include("alphapanda.health.urls")),
    path("", include("alphapanda.dashboard.urls")),
]
