"""Broker accounts, the way through Kite's login page and back, and the end of sessions."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max

from accounts import vault
from accounts.domain.sessions import dies_ms
from accounts.models import BrokerAccount, BrokerLogin, BrokerSession
from accounts.selectors import access_token
from accounts.services import act_record
from alphapanda import logs
from alphapanda.core.clock import IST, to_datetime, to_ms
from alphapanda.core.refusals import BadRequest, Conflict
from alphapanda.kite.client import Access, Client, KiteProblem, TokenDead, Unavailable
from alphapanda.kite.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

OPEN_FOR = timedelta(minutes=10)  # how long a login may take at Kite's page
SUCCESS = "success"
BROKER_ACTOR = "kite"  # who ends a session that the broker refuses
End = BrokerSession.End

log = logs.channel("application")


class LoginRefused(BadRequest):
    """What came back from Kite's login page is not what this browser went for."""


class LoginFailed(Conflict):
    """Kite gave no token."""


def secret_set(account: BrokerAccount, secret: str) -> None:
    """Seal the API secret of an account; saving is the caller's."""
    account.api_secret = vault.seal(secret, place=account.secret_place)


@transaction.atomic
def credentials_changed(account: BrokerAccount, *, now: datetime) -> None:
    """End the session of an account whose app or person is another one now."""
    _end(account.sessions.filter(ended_at=None), End.CREDENTIALS, now=now)


# ---- the way to the login page and back ----


def login_begin(*, account: BrokerAccount, actor: str, browser: str, now: datetime) -> str:
    """The address of Kite's login page. It carries a state that is good once, for ten minutes, and only in the same
    browser session. Raises LoginRefused for an account that is out of use."""
    if not account.is_active:
        raise LoginRefused(f"The broker account {account} is out of use.")
    state = secrets.token_urlsafe(32)
    BrokerLogin.objects.create(
        account=account,
        state_digest=_digest(state),
        browser_digest=_digest(browser),
        actor=actor,
        started_at=now,
    )
    query = {"v": 3, "api_key": account.api_key, "redirect_params": urlencode({"state": state})}
    return f"{settings.KITE_LOGIN_URL}?{urlencode(query)}"


def login_finish(
    *, came: Mapping[str, str], actor: str, browser: str, now: datetime, ip: str | None = None
) -> BrokerSession:
    """Take what came back from the login page: check its state, exchange the request token, store the session.
    Raises LoginRefused, LoginFailed; where the state was right they are in the audit trail."""
    login = _login_use(came.get("state", ""), actor=actor, browser=browser, now=now)
    try:
        if came.get("status") != SUCCESS or not came.get("request_token"):
            told = came.get("status", "") or "nothing"
            raise LoginRefused(f"Kite's login page came back with status {told[:40]!r}, not with a login.")
        session = _exchange(login.account_id, came["request_token"], actor=actor, now=now, ip=ip)
    except (LoginRefused, LoginFailed) as refusal:
        _login_failed(login, str(refusal), actor=actor, now=now, ip=ip)
        raise
    BrokerLogin.objects.filter(pk=login.pk).update(outcome="logged in")
    return session


def _login_use(state: str, *, actor: str, browser: str, now: datetime) -> BrokerLogin:
    """The login that a state stands for, used up by this, also under a race. Raises LoginRefused."""
    waiting = BrokerLogin.objects.filter(
        state_digest=_digest(state),
        browser_digest=_digest(browser),
        actor=actor,
        used_at=None,
        started_at__gt=now - OPEN_FOR,
        started_at__lte=now,
    )
    if not waiting.update(used_at=now):
        log.warning("accounts.broker_login.foreign", actor=actor)
        raise LoginRefused(
            "This login was not begun in this browser session, was used before or took longer than ten minutes."
            " Nothing was changed; begin again."
        )
    return BrokerLogin.objects.select_related("account").get(state_digest=_digest(state))


def _login_failed(login: BrokerLogin, words: str, *, actor: str, now: datetime, ip: str | None) -> None:
    with transaction.atomic():
        BrokerLogin.objects.filter(pk=login.pk).update(outcome=words[:200])
        act_record(
            actor=actor,
            action="broker_login.fail",
            target=f"broker_account:{login.account}",
            reason=words[:300],
            now=now,
            ip=ip,
        )


@transaction.atomic
def _exchange(
    account_id: UUID, request_token: str, *, actor: str, now: datetime, ip: str | None
) -> BrokerSession:
    """The session of a request token. The account's row is held meanwhile, so that of two logins at once the later
    one at Kite, which killed the other's token, is the later one here. Raises LoginRefused, LoginFailed."""
    account = BrokerAccount.objects.select_for_update(no_key=True).get(pk=account_id)
    secret = vault.unseal(account.api_secret, place=account.secret_place)
    kite = Client(account.api_key)
    try:
        user_id, token, stated = _told(kite.session_of(request_token, secret))
    except KiteProblem as problem:
        raise LoginFailed(f"Kite gave no token: {problem}. Begin again.") from None
    if user_id != account.user_id:
        _log_out(kite)
        raise LoginRefused(
            f"Kite logged in {user_id[:20]!r}, not {account.user_id}: log out there, begin again."
        )
    return _store(account, token, stated or now, actor=actor, now=now, ip=ip)


def _told(answer: Mapping[str, Any]) -> tuple[str, str, datetime | None]:
    """User, token and time of a login. Raises Unavailable where Kite's answer has not got them."""
    user_id, token, stated = (answer.get(name) for name in ("user_id", "access_token", "login_time"))
    if not (isinstance(user_id, str) and isinstance(token, str) and token):
        raise Unavailable("the answer has no user and no token in it")
    return user_id, token, stated.replace(tzinfo=IST) if isinstance(stated, datetime) else None


def _store(
    account: BrokerAccount, token: str, stated: datetime, *, actor: str, now: datetime, ip: str | None
) -> BrokerSession:
    before = account.sessions.aggregate(number=Max("number"))["number"] or 0
    _end(account.sessions.filter(ended_at=None), End.SUPERSEDED, now=now)
    session = BrokerSession(
        account=account,
        number=before + 1,
        logged_in_at=stated,
        logged_in_by=actor,
        dies_at=to_datetime(dies_ms(to_ms(now))),  # by our own clock: the countdown is to it
    )
    session.access_token = vault.seal(token, place=session.token_place)
    session.save(force_insert=True)
    act_record(
        actor=actor,
        action="broker_login.done",
        target=f"broker_account:{account}",
        reason="logged in to Kite",
        details={
            "session": str(session.pk),
            "number": session.number,
            "dies_at": session.dies_at.isoformat(),
        },
        now=now,
        ip=ip,
    )
    return session


# ---- the end of a session ----


@transaction.atomic
def session_died(access: Access, words: str, *, now: datetime) -> bool:
    """The broker refused a token: the session that it belongs to is over. True where it lived until now; of one that
    is over already, or that a later login has replaced, nothing changes."""
    session = BrokerSession.objects.select_related("account").get(pk=access.session_id)
    words = logs.without_secrets(words)[:300]
    if not _end(
        BrokerSession.objects.filter(pk=session.pk, ended_at=None), End.REFUSED, now=now, words=words
    ):
        return False
    act_record(
        actor=BROKER_ACTOR,
        action="broker_session.die",
        target=f"broker_account:{session.account}",
        reason=words,
        details={"session": str(session.pk), "number": session.number},
        now=now,
    )
    return True


def session_end(*, account: BrokerAccount, actor: str, now: datetime, ip: str | None = None) -> None:
    """Log out: the token is forgotten here, and ended at Kite where Kite can be reached. Raises NoToken."""
    access = access_token(account.pk, now=now)
    with transaction.atomic():
        ours = BrokerSession.objects.filter(pk=access.session_id, ended_at=None)
        if not _end(ours, End.LOGGED_OUT, now=now):
            return
        act_record(
            actor=actor,
            action="broker_session.end",
            target=f"broker_account:{account}",
            reason="logged out of Kite",
            details={"session": str(access.session_id)},
            now=now,
            ip=ip,
        )
    _log_out(Client(access.api_key, access.access_token))


def _end(sessions: Any, why: str, *, now: datetime, words: str = "") -> int:
    """End sessions and forget their tokens."""
    return sessions.update(ended_at=now, ended_by=why, words=words, access_token=b"")


def _log_out(kite: Client) -> None:
    try:
        kite.end_session()
    except TokenDead:
        return  # it is at its end already
    except KiteProblem as problem:
        log.warning("accounts.broker_session.not_ended_at_kite", problem=str(problem))


def tokens_forget(*, now: datetime) -> int:
    """Forget the tokens whose day is over; how many."""
    over = BrokerSession.objects.filter(dies_at__lte=now).exclude(access_token=b"")
    return over.update(access_token=b"", ended_at=F("dies_at"))


# ---- what others need ----


def reader(account_id: UUID, *, clock: Callable[[], datetime]) -> Reader:
    """Reads of Kite in the name of an account, with the token of the moment."""

    def died(access: Access, words: str) -> None:
        session_died(access, words, now=clock())

    return Reader(lambda: access_token(account_id, now=clock()), died)


@transaction.atomic
def credentials_rotate() -> int:
    """Seal anew with the newest key whatever an older one made; how many. Raises vault.Unreadable."""
    accounts = BrokerAccount.objects.select_for_update(no_key=True)
    sessions = BrokerSession.objects.select_for_update(no_key=True)
    boxes = [(row, "api_secret", row.secret_place) for row in accounts]
    boxes += [(row, "access_token", row.token_place) for row in sessions.exclude(access_token=b"")]
    old = [box for box in boxes if not vault.is_sealed_anew(getattr(box[0], box[1]))]
    for row, column, place in old:
        setattr(row, column, vault.seal(vault.unseal(getattr(row, column), place=place), place=place))
        row.save(update_fields=[column])
    return len(old)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
