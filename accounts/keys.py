"""Keys of the API: made for a person, shown once, known by their digest, ended by their owner.

SHA-256 is enough for what is drawn from 256 random bits: nobody guesses it, slow or fast."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import ApiKey
from accounts.services import audit
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, reason_problem
from alphapanda.web.roles import Role, roles_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User

PREFIX = "apk_"
BYTES = 32
SHOWN = len(PREFIX) + 6  # characters by which a person tells it from others
NAME_MAX, DAYS, DAYS_MAX, KEYS_MAX = 60, 90, 3650, 20
USE_NOTED_EVERY = timedelta(minutes=1)


class BadKey(BadRequest):
    """A key that cannot be made as it was asked for."""


class KeyConflict(Conflict):
    """There is a key of that name already, or too many, or it is at its end."""


class KeyRefusedHere(Conflict):
    """Who comes with a key may not make or end keys."""


class UnknownKey(NotThere):
    """No key of that id is the owner's."""


def keys_of(owner: User) -> QuerySet[ApiKey]:
    """The keys of a person, the newest first."""
    return ApiKey.objects.filter(owner=owner).select_related("owner").order_by("-created_at", "id")


def state_of(key: ApiKey, now: datetime) -> str:
    """good, expired or revoked."""
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= now else "good"


def key_create(
    *, owner: User, name: str, scope: str, days: int | None, now: datetime, ip: str | None = None
) -> tuple[ApiKey, str]:
    """A key of a person and the key itself, which is kept nowhere. Raises BadKey, KeyConflict."""
    name = name.strip()
    if not 0 < len(name) <= NAME_MAX:
        raise BadKey(f"A key has a name of 1 to {NAME_MAX} characters.")
    if scope not in ApiKey.Scope.values:
        raise BadKey(f"{scope!r:.20} is no scope; there are {', '.join(ApiKey.Scope.values)}.")
    if scope == ApiKey.Scope.ACT and Role.OPERATOR not in roles_of(owner):
        raise BadKey("Only an operator's key can act; a viewer's reads.")
    if days is not None and not 1 <= days <= DAYS_MAX:
        raise BadKey(f"A key lives 1 to {DAYS_MAX} days, or without end.")
    if keys_of(owner).filter(revoked_at=None).count() >= KEYS_MAX:
        raise KeyConflict(f"{KEYS_MAX} keys are the most that a person has: revoke one before.")
    return _made(owner, name, scope, days, now, ip)


def _made(
    owner: User, name: str, scope: str, days: int | None, now: datetime, ip: str | None
) -> tuple[ApiKey, str]:
    text = PREFIX + secrets.token_urlsafe(BYTES)
    key = ApiKey(owner=owner, name=name, scope=scope, digest=_digest(text), begins=text[:SHOWN])
    key.created_at, key.expires_at = now, now + timedelta(days=days) if days else None
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            details = {"scope": scope, "begins": key.begins, "days": days}
            actor = owner.get_username()
            audit(actor=actor, action="api_key.create", target=f"api_key:{name}", details=details, ip=ip)
    except IntegrityError:
        raise KeyConflict(f"You have a key {name} already: revoke it, or choose another name.") from None
    return key, text


def key_revoke(*, key_id: UUID, owner: User, reason: str, now: datetime, ip: str | None = None) -> ApiKey:
    """End a key of its owner at once. Raises UnknownKey, KeyConflict, BadKey."""
    if problem := reason_problem(reason):
        raise BadKey(problem)
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(pk=key_id, owner=owner).first()
        if key is None:
            raise UnknownKey(f"You have no key {key_id}.")
        if key.revoked_at:
            raise KeyConflict(f"Key {key.name} was revoked before.")
        key.revoked_at, key.revoked_by = now, owner.get_username()
        key.save(update_fields=["revoked_at", "revoked_by"])
        facts = {"actor": owner.get_username(), "reason": reason, "ip": ip, "details": {"begins": key.begins}}
        audit(action="api_key.revoke", target=f"api_key:{key.name}", **facts)
    return key


def key_believed(text: str, *, now: datetime) -> ApiKey | None:
    """The key that a text is, if it is good now and its owner in use; its use is noted, to the minute."""
    key = ApiKey.objects.select_related("owner").filter(digest=_digest(text)).first()
    if key is None or state_of(key, now) != "good" or not key.owner.is_active:
        return None
    long_ago = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    ApiKey.objects.filter(long_ago, pk=key.pk).update(last_used_at=now)
    return key


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
