"""Whose word a postback is: Kite signs it with the API secret of the app that placed the order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from accounts import vault
from accounts.models import BrokerAccount


def is_kites(order: Mapping[str, Any]) -> bool:
    """Whether an order's update carries the checksum that only Kite and one of our active accounts can make. It covers
    the order's id and time alone, so the rest is a hint, like everything that is pushed."""
    user_id, given = order.get("user_id"), order.get("checksum")
    told = order.get("order_id"), order.get("order_timestamp")
    if not (isinstance(user_id, str) and isinstance(given, str) and given.isascii()):
        return False
    account = BrokerAccount.objects.filter(user_id=user_id, is_active=True).first()
    if account is None or not all(isinstance(text, str) and text for text in told):
        return False
    secret = vault.unseal(account.api_secret, place=account.secret_place)
    made = hashlib.sha256("".join([*map(str, told), secret]).encode()).hexdigest()
    return bool(secret) and hmac.compare_digest(made, given)
