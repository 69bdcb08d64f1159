"""Who may look at the dashboard, and which broker namespace they look at."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard.moment import travelling
from alphapanda.web.roles import Role, roles_of

View = Callable[..., HttpResponse]


def may_look(user: Any) -> bool:
    """Whether a user is active and has role viewer or operator now."""
    return Role.VIEWER in roles_of(user)


def may_act(user: Any) -> bool:
    """Whether a user is active and has role operator now."""
    return Role.OPERATOR in roles_of(user)


def viewer_required(view: View) -> View:
    """Login first; then 403 with words for who has no role. The page may be asked for at a moment."""
    travelled = travelling(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_look(request.user):
            raise PermissionDenied("Your account has no role yet.")
        return travelled(request, *args, **kwargs)

    return login_required(guarded)


def page_view(view: View) -> View:
    """A page to look at, for people with a role: of now, so that nobody keeps it, or of the moment asked for."""
    return never_cache(require_safe(viewer_required(view)))


def broker_of(asked: str) -> str:
    """The namespace that was asked for; paper where none was, or one that the settings do not enable."""
    return asked if asked in settings.BROKERS else Broker.PAPER.value
