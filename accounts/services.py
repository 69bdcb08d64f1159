"""Roles, the first operator, and the audit trail."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from accounts.models import AuditEntry, User
from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import EventType, OperatorActed, seal
from alphapanda.core.refusals import BadRequest, Conflict, NotThere
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from alphapanda.web.roles import Role

if TYPE_CHECKING:
    from datetime import datetime

PASSWORD_LENGTH = 20
# what an operator may change by hand; machine-written tables are read by everybody and changed by nobody
CONFIGURED = {
    "holiday": {"add", "change", "delete"},
    "specialsession": {"add", "change", "delete"},
    "sessionrule": {"add", "change", "delete"},
    "strategy": {"change"},
    "deployment": {"add", "change"},
    "portfolio": {"add", "change"},
    "corporateaction": {"add", "change", "delete"},
    "limitset": {"add", "change", "delete"},
    "killswitch": {"add"},
    "brokeraccount": {"add", "change"},
}
OUR_APPS = ["accounts", "eventlog", "execution", "marketdata", "portfolio", "risk", "strategies"]


class OperatorExists(Conflict):
    """The first operator was created before; others are made in the admin."""


class UnknownPerson(NotThere):
    """Nobody has that name."""


class PasswordRefused(BadRequest):
    """A password that is too easy to guess; the message says why."""


class AuditOutsideTransaction(RuntimeError):
    """An audit entry must be committed with the act it tells of."""


def ensure_roles() -> None:
    """Make the groups viewer and operator have exactly the permissions of their roles. Idempotent."""
    ours = Permission.objects.filter(content_type__app_label__in=OUR_APPS).select_related("content_type")
    seen = [p for p in ours if p.codename.startswith("view_")]
    configured = [p for p in ours if _is_configured(p)]
    with transaction.atomic():
        for role, permissions in ((Role.VIEWER, seen), (Role.OPERATOR, seen + configured)):
            group, _ = Group.objects.get_or_create(name=role)
            group.permissions.set(permissions)


def _is_configured(permission: Permission) -> bool:
    action = permission.codename.partition("_")[0]
    return action in CONFIGURED.get(permission.content_type.model, set())


def operator_create(username: str) -> str:
    """Create the first operator, who also owns the installation, and return the password, kept nowhere.

    Raises OperatorExists.
    """
    alphabet = string.ascii_letters + string.digits
    password = "".join(secrets.choice(alphabet) for _ in range(PASSWORD_LENGTH))
    with transaction.atomic():
        ensure_roles()
        group = Group.objects.select_for_update().get(name=Role.OPERATOR)  # two at once: the second waits
        if group.user_set.exists() or User.objects.filter(is_superuser=True).exists():
            raise OperatorExists("There is an operator already.")
        user = User.objects.create_superuser(username, password=password)
        user.groups.add(group)
        audit(actor=username, action="operator.create", target=f"user:{username}")
    return password


@transaction.atomic
def password_change(*, username: str, password: str, actor: str, reason: str, now: datetime) -> None:
    """Give a person another password, which ends all sessions and tokens that they have.

    Raises UnknownPerson, PasswordRefused.
    """
    user = User.objects.select_for_update().filter(username=username).first()
    if user is None:
        raise UnknownPerson(f"There is no user {username!r}.")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(" ".join(error.messages)) from error
    user.set_password(password)
    user.save(update_fields=["password"])
    facts = {"message": "Changed the password.", "changes": {}, "pk": str(user.pk)}
    target = f"user:{username}"
    act_record(actor=actor, action="user.change", target=target, reason=reason, details=facts, now=now)


def audit(
    *,
    actor: str,
    action: str,
    target: str,
    reason: str = "",
    details: dict[str, Any] | None = None,
    ip: str | None = None,
) -> AuditEntry:
    """Write who did what to what, in the transaction of the act. Raises AuditOutsideTransaction."""
    if not connection.in_atomic_block:
        raise AuditOutsideTransaction(f"{action} on {target} is not in a transaction")
    return AuditEntry.objects.create(
        actor=actor, action=action, target=target[:200], reason=reason, details=details or {}, ip=ip
    )


def act_record(
    *,
    actor: str,
    action: str,
    target: str,
    reason: str,
    now: datetime,
    details: dict[str, Any] | None = None,
    ip: str | None = None,
) -> AuditEntry:
    """Audit an operator's act and tell the log of it (OPERATOR_ACTED), in the transaction of the act."""
    entry = audit(actor=actor, action=action, target=target, reason=reason, details=details, ip=ip)
    event_id = ids.event_id(EventType.OPERATOR_ACTED, f"{entry.pk}|{to_ms(now)}|{action}|{target}")
    payload = OperatorActed(action=action, target=target, actor=actor, reason=reason, details=entry.details)
    outbox.publish(
        [
            seal(
                payload,
                event_type=EventType.OPERATOR_ACTED,
                event_id=event_id,
                ts=to_ms(now),
                source="accounts",
                broker=Broker.SHARED,
                key=target[:120],
                correlation_id=event_id,
                causation_id=event_id,
            )
        ]
    )
    return entry
