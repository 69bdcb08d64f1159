"""What stands between a person and trading live: each condition alone is enough to refuse."""

from __future__ import annotations

import io
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.http import HttpRequest
from django.utils import timezone

from accounts import live, vault
from accounts.live import NotCleared, TermsOutOfDate, UnlockRefused
from accounts.models import AuditEntry, BrokerSession, LiveAct, User
from alphapanda import readiness
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.preflight import Finding, Missing
from execution.models import BrokerDesk, Difference
from marketdata import selectors
from marketdata.models import Holiday, Instrument, MasterLoad
from marketdata.services.calendar import calendars_load_shipped
from strategies.models import Deployment
from strategies.services.lifecycle import deployment_start
from tests.kite.server import a_simulator, quoted, serving
from tests.people import PASSWORD, a_person, client_of
from tests.rows import a_broker_account, a_deployment, an_instrument

pytestmark = pytest.mark.django_db
GOOD = [{"name": "token", "is_good": True, "detail": "", "is_doubtful": False}]
BAD = [*GOOD, {"name": "clock", "is_good": False, "detail": "", "is_doubtful": False}]


@pytest.fixture(autouse=True)
def enabled(settings: Any) -> None:
    settings.ZERODHA_ENABLED = settings.LIVE_TRADING = True


def a_trader(name: str = "alice") -> User:
    user = a_person(name, role="operator")
    user.user_permissions.add(Permission.objects.get(codename="trade_live"))
    return user


def unlocked(now: datetime, actor: str = "alice") -> None:
    live.unlock(password=PASSWORD, request=HttpRequest(), actor=actor, now=now)


def cleared(now: datetime) -> None:
    """All that a person does before the first start of a day."""
    live.terms_acknowledge(version=live.TERMS_VERSION, actor="alice", now=now)
    unlocked(now)
    live.readiness_record(findings=GOOD, actor="alice", now=now)


def start(now: datetime) -> str:
    deployment = a_deployment(status="STOPPED", broker="zerodha")
    return deployment_start(deployment_id=deployment.pk, actor="alice", reason="go", now=now).status


def test_with_all_of_it_a_deployment_starts() -> None:
    a_trader()
    now = timezone.now()
    cleared(now)

    assert live.why_not_live(actor="alice", now=now) == []
    assert start(now) == "RUNNING"
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"live.terms", "live.unlock", "live.readiness", "deployment.start"}
    assert LiveAct.objects.get(kind="TERMS").data == live.TERMS.splitlines()


def test_without_any_of_it_all_is_told_at_once(settings: Any) -> None:
    settings.LIVE_TRADING = False

    with pytest.raises(NotCleared) as caught:
        start(timezone.now())

    told = str(caught.value)
    words = ("switched off", "no operator", "not acknowledged", "not given again", "No readiness check")
    assert all(word in told for word in words)


def lose_switch(settings: Any, _now: datetime) -> None:
    settings.ZERODHA_ENABLED = False


def lose_permission(_settings: Any, _now: datetime) -> None:
    User.objects.get(username="alice").user_permissions.clear()


def lose_role(_settings: Any, _now: datetime) -> None:
    User.objects.get(username="alice").groups.clear()


def new_terms(_settings: Any, _now: datetime) -> None:
    live.TERMS_VERSION = "2027-01-01"


def fail_check(_settings: Any, now: datetime) -> None:
    live.readiness_record(findings=BAD, actor="bob", now=now)


@pytest.mark.parametrize(
    ("lose", "word"),
    [
        (lose_switch, "switched off"),
        (lose_permission, "no operator"),
        (lose_role, "no operator"),
        (new_terms, "2027-01-01"),
        (fail_check, "did not pass"),
    ],
)
def test_each_alone_is_enough_to_refuse(
    lose: Any, word: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TERMS_VERSION", live.TERMS_VERSION)  # put back afterwards
    a_trader()
    now = timezone.now()
    cleared(now)
    lose(settings, now)

    (missing,) = live.why_not_live(actor="alice", now=now)
    assert word in missing
    with pytest.raises(NotCleared):
        start(now)


def test_the_password_counts_for_a_quarter_of_an_hour_and_for_who_gave_it() -> None:
    a_trader()
    a_trader("bob")
    now = timezone.now()
    cleared(now)

    later = now + timedelta(minutes=15)
    assert "15 minutes" in live.why_not_live(actor="alice", now=later)[0]
    unlocked(later, "bob")
    assert "15 minutes" in live.why_not_live(actor="alice", now=later)[0]
    unlocked(later)
    assert live.why_not_live(actor="alice", now=later) == []


def test_a_check_counts_for_an_hour() -> None:
    a_trader()
    now = timezone.now()
    cleared(now)
    later = now + timedelta(hours=1)
    unlocked(later)

    assert "within the last hour" in live.why_not_live(actor="alice", now=later)[0]


@pytest.mark.parametrize(("typed", "acts"), [("", 0), ("\n", 0), (f"{PASSWORD}\n", 1)])
def test_the_password_comes_through_a_pipe_as_well(
    monkeypatch: pytest.MonkeyPatch, typed: str, acts: int
) -> None:
    a_trader()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    with (
        nullcontext()
        if acts
        else pytest.raises(CommandError, match=r"Nothing was given .* Password of alice")
    ):
        call_command("live", "unlock", actor="alice")

    assert LiveAct.objects.count() == acts


def test_a_wrong_password_and_people_without_the_permission_are_refused() -> None:
    a_trader()
    a_person("carol", role="operator")
    for actor, password in (("alice", "wrong"), ("carol", PASSWORD), ("nobody", PASSWORD)):
        with pytest.raises(UnlockRefused):
            live.unlock(password=password, request=HttpRequest(), actor=actor, now=timezone.now())
    with pytest.raises(NotCleared):
        live.terms_acknowledge(version=live.TERMS_VERSION, actor="carol", now=timezone.now())
    with pytest.raises(TermsOutOfDate):
        live.terms_acknowledge(version="2020-01-01", actor="alice", now=timezone.now())
    assert not LiveAct.objects.exists()


def test_the_way_over_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CHECKS", {"all": lambda: "well"})
    a_trader()
    alice, place = client_of("alice"), "/api/v1/live/"

    shown = alice.get(f"{place}clearance/").json()
    assert (shown["terms"], len(shown["missing"])) == (live.TERMS, 3)
    assert alice.post(f"{place}terms/", {"version": "old"}).status_code == 400
    assert alice.post(f"{place}terms/", {"version": shown["version"]}).status_code == 200
    assert alice.post(f"{place}unlock/", {"password": "wrong"}).status_code == 400
    answer = alice.post(f"{place}unlock/", {"password": PASSWORD})
    assert (answer.status_code, PASSWORD in answer.content.decode()) == (200, False)
    assert alice.post(f"{place}readiness/", {}).json()["is_passed"] is True
    assert alice.get(f"{place}clearance/").json()["missing"] == []


# ---- the readiness check ---------------------------------------------------------------------------------------


def found(name: str) -> Finding:
    return next(one for one in readiness.run() if one.name == name)


@pytest.mark.django_db(transaction=True)
def test_token_and_clock_are_held_against_kites(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))  # signs in no one
    assert "no active broker account" in found("token").detail
    account = a_broker_account()
    with serving(a_simulator([quoted(1500, 1)])) as served:
        settings.KITE_API_URL = served.url
        now = timezone.now()
        session = BrokerSession(
            account=account,
            number=1,
            logged_in_at=now,
            logged_in_by="alice",
            dies_at=now + timedelta(hours=9),
        )
        session.access_token = vault.seal(served.kite().access_token, place=session.token_place)
        session.save(force_insert=True)

        assert (found("token").is_good, found("clock").is_good) == (True, True)
        real = timezone.now
        monkeypatch.setattr(readiness.timezone, "now", lambda: real() + timedelta(seconds=30))
        assert "s apart" in found("clock").detail
        monkeypatch.undo()
        served.kite()  # a login elsewhere kills our token
        assert "Kite answered 403" in found("token").detail
    assert "could not be reached" in found("token").detail


def test_limits_and_reconciliation_are_asked_for() -> None:
    a_deployment(broker="zerodha", status="STOPPED")
    assert "no limit binds ma-infy" in found("limits").detail
    assert "not at work" in found("reconciliation").detail

    now = timezone.now()
    desk = BrokerDesk.objects.create(broker="zerodha", house="h", seen_at=now, reconciled_at=now)
    assert found("reconciliation").is_good
    row = Difference.objects.create(kind="POSITION", key="k", rounds=2, first_seen_at=now, seen_at=now)
    assert "1 differences stand" in found("reconciliation").detail
    row.delete()
    desk.stopped = "no token"
    desk.save()
    assert "sends nothing: no token" in found("reconciliation").detail


def test_settings_and_calendar_are_looked_at(settings: Any) -> None:
    Holiday.objects.all().delete()
    assert "holidays are known until None" in found("calendar").detail
    next_year = timezone.now().date() + timedelta(days=365)
    Holiday.objects.create(exchange="NSE", date=next_year, name="New Year")
    assert found("calendar").detail == "'NSE': no session hours are stored: `manage.py load_instruments`"
    calendars_load_shipped()
    selectors.calendars_forget()
    assert (found("calendar").is_good, found("switches").is_good) == (True, True)

    settings.LIVE_TRADING = False
    assert (found("switches").is_good, found("switches").detail) == (
        False,
        "orders to Zerodha are off in the settings",
    )


def test_what_no_check_can_tell_is_doubtful_and_lists_must_be_fresh() -> None:
    assert (found("address").is_good, found("address").is_doubtful) == (True, True)
    assert "no instrument list" in found("instruments").detail
    with pytest.raises(Missing):
        readiness.instruments()


def a_contract(symbol: str, token: int, **facts: Any) -> Instrument:
    kind = {"exchange": "NFO", "tradingsymbol": symbol, "instrument_type": "FUT", "segment": "NFO-FUT"}
    return an_instrument(**kind, instrument_token=token, exchange_token=token, lot_size=65, **facts)


def lists_loaded(now: datetime, exchanges: str = "NFO NSE") -> None:
    MasterLoad.objects.create(id=uuid4(), source="Kite all", exchanges=exchanges, loaded_at=now)


def test_the_list_of_another_exchange_says_nothing_of_what_is_traded() -> None:
    now = timezone.now()
    lists_loaded(now - timedelta(days=9))
    lists_loaded(now, "BSE MCX")
    a_deployment(broker="zerodha", status="STOPPED")

    assert "no instrument list of NSE was loaded since yesterday" in found("instruments").detail
    lists_loaded(now - timedelta(hours=1), "NSE")
    assert found("instruments").is_good


def test_what_stopped_with_its_contract_long_ago_keeps_nobody_from_starting() -> None:
    now = timezone.now()
    lists_loaded(now)
    last_month = ist_date(to_ms(now)) - timedelta(days=20)
    old = a_deployment("old", broker="zerodha", status="STOPPED")
    old.instruments.set([a_contract("NIFTY26OCTFUT", 11, expiry=last_month, is_listed=False)])

    assert found("instruments").is_good
    assert found("limits").is_good
    Deployment.objects.update(status="PAUSED")
    assert "no longer listed: NFO:NIFTY26OCTFUT" in found("instruments").detail


def test_what_can_still_enter_is_bound_though_a_contract_beside_it_has_expired() -> None:
    now = timezone.now()
    lists_loaded(now)
    last_month = ist_date(to_ms(now)) - timedelta(days=20)
    old = a_contract("NIFTY26OCTFUT", 11, expiry=last_month, is_listed=False)
    a_deployment(broker="zerodha", status="STOPPED").instruments.add(old)

    assert "no limit binds" in found("limits").detail
    assert found("instruments").is_good
    Instrument.objects.filter(expiry=None).update(is_listed=False)
    assert "no longer listed: NSE:INFY" in found("instruments").detail


def test_a_contract_whose_largest_order_is_not_known_is_doubtful() -> None:
    now = timezone.now()
    lists_loaded(now)
    next_month = ist_date(to_ms(now)) + timedelta(days=20)
    contract = a_contract("NIFTY26DECFUT", 12, expiry=next_month)
    a_deployment(broker="zerodha", status="STOPPED").instruments.set([contract])

    doubt = found("instruments")
    assert (doubt.is_good, doubt.is_doubtful) == (True, True)
    assert "no freeze quantity is known of NFO:NIFTY26DECFUT" in doubt.detail
    Instrument.objects.filter(pk=contract.pk).update(freeze_quantity=1_800)
    assert not found("instruments").is_doubtful
