"""Coming in and going out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.views import LoginView, LogoutView

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class Login(LoginView):
    """The login page; axes counts failures behind `authenticate`."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True


class Logout(LogoutView):
    """Ends the session (POST only) and tells the browser to forget what it kept."""

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response
