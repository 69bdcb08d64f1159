"""`manage.py api_keys`: the keys of a person; `--create NAME` makes one and shows it once, `--revoke NAME` ends one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, User
from alphapanda.web.console import ListCommand

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ListCommand):
    help = "Keys of the API: list those of a person, make one, end one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME", help="whose keys")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--create", default="", metavar="KEY", help="make a key of this name")
        act.add_argument("--revoke", default="", metavar="KEY", help="end the key of this name")
        parser.add_argument("--scope", choices=ApiKey.Scope.values, default=ApiKey.Scope.READ.value)
        parser.add_argument(
            "--days", type=int, default=keys.DAYS, help=f"it lives, {keys.DAYS} by default; 0: without end"
        )
        parser.add_argument("--reason", default="", help="of an end, for the audit trail")
        super().add_arguments(parser)

    def handle(self, *_args: Any, user: str, as_json: bool, **options: Any) -> None:
        owner = User.objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"There is no user {user!r}.")
        now = timezone.now()
        if options["create"]:
            facts = {"name": options["create"], "scope": options["scope"], "days": options["days"] or None}
            made, key = self.act(keys.key_create, owner=owner, now=now, **facts)
            self.show([{"name": made.name, "scope": made.scope, "key": key}], as_json=as_json)
            return
        if options["revoke"]:
            found = keys.keys_of(owner).filter(name=options["revoke"], revoked_at=None).first()
            if found is None:
                raise CommandError(f"{user} has no key {options['revoke']!r} that is not revoked.")
            self.act(keys.key_revoke, key_id=found.pk, owner=owner, reason=options["reason"], now=now)
        self.show([_row(one, now) for one in keys.keys_of(owner)], as_json=as_json, nothing="No keys.")


def _row(one: ApiKey, now: Any) -> dict[str, Any]:
    names = ("name", "scope", "begins", "created_at", "expires_at", "last_used_at")
    return {name: getattr(one, name) for name in names} | {"state": keys.state_of(one, now)}
