"""All addresses."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views import Login, Logout
from execution.views import Postback

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", Login.as_view(), name="login"),
    path("logout/", Logout.as_view(), name="logout"),
    path("api/v1/", include("alphapanda.api")),
    path("kite/postback/", Postback.as_view(), name="kite-postback"),
    path("health/", include("alphapanda.health.urls")),
    path("favicon.ico", RedirectView.as_view(url=static("img/panda.svg"))),  # browsers ask unasked
    path("", include("alphapanda.dashboard.urls")),
]
handler400 = "alphapanda.errors.bad_request"
handler500 = "alphapanda.errors.server_error"
