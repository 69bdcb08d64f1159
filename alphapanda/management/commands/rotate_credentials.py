"""`manage.py rotate_credentials`: seal broker secrets and tokens, and the addresses of alert channels, anew with the
first of ALPHAPANDA_CREDENTIAL_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.broker import credentials_rotate
from alphapanda.core.refusals import Refusal
from risk.services.channels import addresses_rotate


class Command(BaseCommand):
    help = (
        "Seal what an older key of ALPHAPANDA_CREDENTIAL_KEYS made with the first one; then the older may go."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            count = credentials_rotate() + addresses_rotate()
        except Refusal as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} sealed anew with the first key; the others are not needed any more")
