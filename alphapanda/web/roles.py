"""The roles of people and what a view asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Role(StrEnum):
    """The groups that count. An operator may do all that a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class RequiredRole:
    """What a view asks of who reads and of who acts; None lets everybody in."""

    read: Role | None = Role.VIEWER
    write: Role | None = Role.OPERATOR


ROLE_TO_READ = RequiredRole()
ANYBODY = RequiredRole(read=None, write=None)


def roles_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[Role]:
    """The roles that a user has now; none for anonymous and disabled users, all for a superuser."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset(Role)
    names = set(user.groups.filter(name__in=list(Role)).values_list("name", flat=True))
    if Role.OPERATOR in names:
        return frozenset(Role)
    return frozenset(Role(name) for name in names)
