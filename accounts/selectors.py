"""Reads of broker accounts: their tokens, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts import vault
from accounts.domain.sessions import SessionState, state_of
from accounts.models import BrokerAccount, BrokerSession
from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import Conflict, NotThere
from alphapanda.kite.client import Access

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

WHERE = "log in to Kite on the page Broker of the dashboard"


class NoAccount(NotThere):
    """No such broker account is active, or it takes a name to tell which one is meant."""


class NoToken(Conflict):
    """Nobody has logged in to the broker since its last session ended."""


@dataclass(frozen=True, slots=True)
class AccountNow:
    """An account with its newest session, and its state at a moment."""

    account: BrokerAccount
    session: BrokerSession | None
    state: SessionState

    @property
    def is_alive(self) -> bool:
        return self.state is SessionState.ALIVE


def the_account(name: str = "") -> BrokerAccount:
    """The active account of a name; without one the only one there is. Raises NoAccount."""
    found = list(BrokerAccount.objects.filter(is_active=True).order_by("name"))
    chosen = [account for account in found if name in ("", account.name)]
    if len(chosen) == 1:
        return chosen[0]
    if not found:
        raise NoAccount("There is no active broker account: make one in the admin, Broker accounts.")
    names = ", ".join(account.name for account in found)
    told = f"There is no active broker account {name!r}" if name else "Say which broker account is meant"
    raise NoAccount(f"{told}; active are {names}.")


def access_token(account_id: UUID, *, now: datetime) -> Access:
    """What opens the broker to an account now, read from its newest session's row each time: whoever asks per
    request picks up a new login without a restart. Raises NoToken, vault.Unreadable."""
    newest = _newest().filter(account_id=account_id).first()
    if newest is None or not _now(newest.account, newest, now).is_alive:
        raise NoToken(f"The broker account has no token now: {WHERE}.")
    token = vault.unseal(newest.access_token, place=newest.token_place)
    return Access(newest.account.api_key, token, newest.pk)


def accounts_now(*, now: datetime, is_active: bool | None = True) -> list[AccountNow]:
    """The active accounts (None: all) by name, each with its newest session."""
    accounts = BrokerAccount.objects.order_by("name")
    if is_active is not None:
        accounts = accounts.filter(is_active=is_active)
    return with_sessions(accounts, now=now)


def with_sessions(accounts: Iterable[BrokerAccount], *, now: datetime) -> list[AccountNow]:
    """Accounts, each with its newest session."""
    accounts = list(accounts)
    found = {row.account_id: row for row in _newest().filter(account__in=accounts).defer("access_token")}
    return [_now(account, found.get(account.pk), now) for account in accounts]


def sessions_refused(*, since: datetime) -> list[BrokerSession]:
    """Sessions that the broker ended of its own accord since a moment."""
    refused = BrokerSession.objects.filter(ended_by=BrokerSession.End.REFUSED, ended_at__gte=since)
    return list(refused.select_related("account").defer("access_token").order_by("ended_at"))


def _newest() -> QuerySet[BrokerSession]:
    """The newest session of each account."""
    rows = BrokerSession.objects.select_related("account").order_by("account_id", "-number")
    return rows.distinct("account_id")


def _now(account: BrokerAccount, session: BrokerSession | None, now: datetime) -> AccountNow:
    if session is None:
        return AccountNow(account, None, SessionState.NONE)
    state = state_of(dies_ms=to_ms(session.dies_at), ended=session.ended_at is not None, now_ms=to_ms(now))
    return AccountNow(account, session, state)
