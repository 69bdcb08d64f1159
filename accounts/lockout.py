"""What wrong passwords lock out: a name wherever it is new, and at each address that it knows only that address."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from axes.models import AccessLog

if TYPE_CHECKING:
    from django.http import HttpRequest

NAME_MAX = 255  # characters
KNOWN_FOR = timedelta(days=90)  # since a person's last login from an address
AT_THIS_ADDRESS = [["username", "ip_address"]]
ANYWHERE = ["username"]  # however many addresses a guesser has; open sessions are not touched


def counted_by(request: HttpRequest, credentials: dict[str, Any] | None = None) -> list[Any]:
    """Which failures count together for a try, as axes asks: those of strangers must not keep a person out at home.

    Who has no address, a command on this machine, is at home too."""
    if not credentials:
        return ANYWHERE
    at: Any = request  # axes has written address and time on it
    if at.axes_ip_address is None:
        return AT_THIS_ADDRESS
    since = at.axes_attempt_time - KNOWN_FOR
    logins = AccessLog.objects.filter(ip_address=at.axes_ip_address, attempt_time__gte=since)
    return AT_THIS_ADDRESS if logins.filter(username=credentials.get("username")).exists() else ANYWHERE


def name_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Under which name axes stores a try: of one that nobody can have as much as its column holds."""
    given: Any = credentials or getattr(request, "data", request.POST)
    name: str | None = given.get("username")
    return name if name is None else name[:NAME_MAX]
