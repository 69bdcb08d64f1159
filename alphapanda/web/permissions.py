"""Deny by default: a view without a declared role is refused to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission

from alphapanda.web.roles import RequiredRole, roles_of

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class HasRequiredRole(BasePermission):
    """Lets in whoever has the role that the view's `required_role` asks for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        required = getattr(view, "required_role", None)
        if not isinstance(required, RequiredRole):
            return False
        is_reading = request.method in SAFE_METHODS
        if not is_reading and not getattr(request.auth, "may_act", True):  # a key that only reads
            return False
        role = required.read if is_reading else required.write
        return role is None or role in roles_of(request.user)
