"""The desk that all browser tests look at: paper has a morning of trading, Zerodha has nothing but a difference."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import User
from alphapanda import projections
from alphapanda.core.envelope import FeedGap
from alphapanda.core.vocabulary import Severity
from alphapanda.eventlog import bootstrap
from alphapanda.push import readmodel
from alphapanda.tasks import backtests
from alphapanda.web.roles import Role
from execution.models import Difference, ExternalOrder
from marketdata.models import Bar
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.feed_gaps import gap_tell
from portfolio.journal import note_write, picture_add
from portfolio.models import Posting
from risk.models import LimitSet
from risk.services.alerts import alert_raise
from risk.services.halts import halt_release, halt_throw
from tests.cockpit import world
from tests.portfolio.test_pictures import drawn
from tests.research.test_stored import asked
from tests.rows import a_signal, an_approval

MINUTES = 90


def traded() -> SimpleNamespace:
    calendars_load_shipped()
    bootstrap.ensure_topics()
    own = world.desk()
    world.morning(own, rounds=3)
    world.trade(own.deployments[1], 5_000, world.Side.BUY, 400, 28_712_500, denied="position_quantity")
    world.posted()
    _bars(own)
    _for_a_person(own)
    _noted()
    asked("Ten lakh")
    asked("Five lakh", cash=Decimal(500_000))
    backtests()
    projections.rebuild()
    readmodel.marks_write(
        {token: (price_e4, world.START + 7_200_000) for token, price_e4 in world.NAMES.values()}
    )
    return own


def _bars(own: SimpleNamespace) -> None:
    instrument = own.instruments[0]
    first = world.NAMES[instrument.tradingsymbol][1]
    Bar.objects.bulk_create(
        Bar(
            instrument=instrument, minutes=1, starts_ms=world.START + 60_000 * minute,
            open_e4=first + 500 * (minute % 7), high_e4=first + 4_000, low_e4=first - 1_000,
            close_e4=first + 500 * (minute % 5), volume=100 + minute, ticks=5,
        )
        for minute in range(MINUTES)
    )  # fmt: skip


def _for_a_person(own: SimpleNamespace) -> None:
    """What waits for a person, and what one has settled."""
    now = timezone.now()
    LimitSet.objects.create(
        level="GLOBAL", daily_orders=40, order_quantity=500, gross_exposure=Decimal(50_00_000)
    )
    alert_raise(code="odd_price", subject="INFY", text="it is odd", severity=Severity.WARNING, now=now)
    halt = halt_throw(level="GLOBAL", reason="drill", actor="bob", now=now - timedelta(minutes=5))
    halt_release(halt_id=halt.pk, reason="over", actor="ann", now=now)
    an_approval(a_signal(own.deployments[0], 9_000))
    Difference.objects.create(
        kind="POSITION", key="NSE:TCS MIS", ours="10", theirs="0", first_seen_at=now, seen_at=now, rounds=2
    )
    ExternalOrder.objects.create(
        broker_order_id="99",
        instrument="NSE:TCS",
        snapshot={"status": "OPEN", "side": "BUY", "quantity": 5},
        seen_at=now,
    )


def _noted() -> None:
    """What a person says of the first trade, with a picture, and what the feed did not hear."""
    now, trade_id = timezone.now(), Posting.objects.order_by("sequence").first().fill_id
    said = {"text": "Waited for the second cross.", "tags": ["early exit", "patience"], "revision": 0}
    note_write(trade_id=trade_id, actor="ann", now=now, **said)
    picture_add(trade_id=trade_id, name="chart.png", data=drawn(size=(900, 500)), actor="ann", now=now)
    gap_tell(FeedGap("kite", 1, 9, world.START, world.START + 65_000, "the socket closed"), now=now)


def logged_in(role: Role) -> dict[str, Any]:
    """A new user's login, as a browser keeps it."""
    user = User.objects.create_user(f"the {role}", password="x", is_staff=role == Role.OPERATOR)
    user.groups.add(Group.objects.get(name=role))
    visitor = Client()
    visitor.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    cookie = {
        "name": "sessionid",
        "value": visitor.cookies["sessionid"].value,
        "domain": "127.0.0.1",
        "path": "/",
    }
    return {"cookies": [cookie], "origins": []}
