"""The journal: trades and sums against the fills, what people note, pictures that are pictures, and who may."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuditEntry
from alphapanda import journal
from alphapanda.core.clock import DAY_MS
from alphapanda.core.vocabulary import Side
from execution.models import Fill
from portfolio import journal as notes
from portfolio.models import TradeNote, TradePicture
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.people import client_of
from tests.portfolio.test_pictures import drawn

pytestmark = pytest.mark.django_db
ALL = {"deployment": None, "symbol": "", "tag": "", "side": "", "first": None, "last": None}
E4 = 10_000


@pytest.fixture
def own():
    """A gain of 500 on INFY that slipped by 70, a loss of 300 the day after, and an open short of RELIANCE."""
    own = world.desk(count=2)
    infy, reliance = own.deployments
    next_day = DAY_MS // 1000
    world.trade(infy, 60, Side.BUY, 100, 1_500 * E4, seen_e4=1_500 * E4 - 5_000)
    world.trade(infy, 660, Side.SELL, 100, 1_505 * E4, seen_e4=1_505 * E4 + 2_000)
    world.trade(infy, next_day, Side.SELL, 100, 1_500 * E4)
    world.trade(infy, next_day + 60, Side.BUY, 100, 1_503 * E4)
    world.trade(reliance, 90, Side.SELL, 10, 2_800 * E4)
    world.posted()
    return own


def trades(client: Client, path: str = "/journal/") -> dict[str, str]:
    return client.get(path, headers=ROWS).json()["rows"]["trips"]


def the_gain() -> UUID:
    return Fill.objects.get(price_e4=1_500 * E4, side="BUY").pk


@pytest.mark.usefixtures("live_enabled")
def test_trades_and_sums_are_those_of_the_fills(own) -> None:
    viewer = browser("viewer")
    page = viewer.get("/journal/").content.decode()
    found = viewer.get("/journal/", headers=ROWS).json()["rows"]
    charged = [
        sum(map(Decimal, one.charges.values()))
        for one in Fill.objects.filter(order__deployment=own.deployments[0])
    ]

    assert len(found["trips"]) == 3
    assert all(
        html in page
        for rows in (found["trips"], found["tripdays"], found["triptiles"], found["tripsums"])
        for html in rows.values()
    )
    gain = found["trips"][str(the_gain())]
    for words in ("+₹500.00", "10 min", "-₹70.00", "1,500.00", "1,505.00", "long", "INFY"):
        assert words in gain
    total = journal.total(journal.entries("paper", ALL))
    assert (total.count, total.wins, total.gross, total.charges) == (2, 1, Decimal(200), sum(charged))
    assert total.slipped == Decimal(-70)
    for html in (gain, found["triptiles"]["all"], found["tripsums"]["all"]):
        assert ">-₹70.00</" in html
    assert "1 open, not in it" in found["triptiles"]["all"]
    assert found["tripsums"]["all"].count("STT") == 1
    days = found["tripdays"]["all"]
    assert "first=2019-07-09&amp;last=2019-07-09" in days
    assert 'class="gain-3"' in days
    assert 'class="loss-3"' in days
    assert "July 2019" in days
    assert not trades(viewer, "/journal/?broker=zerodha")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("symbol=infy", 2),
        ("side=SELL", 2),
        ("first=2019-07-10", 1),
        ("last=2019-07-09", 2),
        ("tag=patience", 1),
        ("tag=no tag", 2),
        ("tag=haste", 0),
        ("skip=2", 1),
    ],
)
def test_filters(own, query: str, count: int) -> None:
    note(the_gain(), tags=["patience"])
    assert len(trades(browser("viewer"), f"/journal/?{query}")) == count


def test_nonsense_in_the_address_is_told_and_a_trade_that_is_none_is_not_found(own) -> None:
    viewer = browser("viewer")
    for query in ("first=never", "side=up", "deployment=1", "skip=-1"):
        assert viewer.get(f"/journal/?{query}").status_code == 400, query
    closing = Fill.objects.get(price_e4=1_505 * E4)
    assert viewer.get(f"/journal/{closing.pk}/").status_code == 404
    assert viewer.get("/journal/pictures/00000000-0000-0000-0000-000000000001/").status_code == 404


def test_an_empty_journal_says_the_next_step() -> None:
    assert "next: start a deployment" in browser("viewer").get("/journal/").content.decode()


def note(trade_id: UUID, **facts: object) -> TradeNote:
    said = {"text": "", "tags": [], "revision": 0, "actor": "ann"} | facts
    return notes.note_write(trade_id=trade_id, now=timezone.now(), **said)


def test_a_note_is_written_shown_counted_and_audited(own) -> None:
    operator, address = browser("operator"), f"/journal/{the_gain()}/"
    typed = {"tags": "Patience,  early exit", "text": "Sat <b>still</b>.", "revision": 0}
    assert operator.post(address, typed).status_code == 302
    page = operator.get(address).content.decode()

    assert "Sat &lt;b&gt;still&lt;/b&gt;." in page
    assert "early exit, patience" in page
    assert "₹50.00" in page  # 0.50 a unit on the way in
    assert ">patience<" in trades(operator)[str(the_gain())]
    (entry,) = AuditEntry.objects.filter(action="journal.note")
    assert entry.actor == "operator"
    assert entry.details["after"]["tags"] == ["early exit", "patience"]
    assert journal.by_tag(journal.entries("paper", ALL))["patience"].count == 1
    operator.post(address, typed | {"revision": 1})
    assert AuditEntry.objects.filter(action="journal.note").count() == 1


def test_two_people_do_not_write_over_each_other(own) -> None:
    operator, address = browser("operator"), f"/journal/{the_gain()}/"
    note(the_gain(), text="first")
    answer = operator.post(address, {"tags": "", "text": "mine", "revision": 0})
    assert answer.status_code == 400
    assert "ann has changed the note meanwhile" in answer.content.decode()
    assert ">\nmine</textarea>" in answer.content.decode()
    assert TradeNote.objects.get().text == "first"


def test_a_tag_that_is_none_is_refused_in_words(own) -> None:
    answer = browser("operator").post(f"/journal/{the_gain()}/", {"tags": "a<b", "revision": 0})
    assert answer.status_code == 400
    assert "is no tag; accepted are small letters" in answer.content.decode()
    assert not TradeNote.objects.exists()


def test_viewers_read_and_do_not_write(own) -> None:
    viewer, address = browser("viewer"), f"/journal/{the_gain()}/"
    assert viewer.post(address, {"tags": "x", "revision": 0}).status_code == 403
    assert "<textarea" not in viewer.get(address).content.decode()


def upload(client: Client, data: bytes, name: str = "shot.png") -> int:
    file = SimpleUploadedFile(name, data, content_type="image/png")
    return client.post(f"/journal/{the_gain()}/", {"picture": "1", "file": file}).status_code


def test_a_picture_is_kept_and_served_as_a_picture_alone(own) -> None:
    operator, data = browser("operator"), drawn("webp")
    assert upload(operator, data, "chart.html") == 302
    assert upload(operator, data, "again.png") == 302
    (picture,) = TradePicture.objects.all()
    answer = operator.get(f"/journal/pictures/{picture.pk}/")

    assert answer.content == data
    assert answer["Content-Type"] == "image/webp"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "html" not in answer["Content-Disposition"]
    assert (
        f'src="/journal/pictures/{picture.pk}/"' in operator.get(f"/journal/{the_gain()}/").content.decode()
    )
    assert Client().get(f"/journal/pictures/{picture.pk}/").status_code == 302
    assert AuditEntry.objects.get(action="journal.picture").details["picture"] == str(picture.pk)


def test_what_is_no_picture_is_refused_in_words(own) -> None:
    operator = browser("operator")
    assert upload(operator, b"<html><script>alert(1)</script>") == 400
    assert upload(operator, drawn()[:-3]) == 400
    address = f"/journal/{the_gain()}/"
    assert "Choose a file" in operator.post(address, {"picture": "1"}).content.decode()
    assert not TradePicture.objects.exists()


def test_a_trade_has_so_many_pictures_at_most(own, monkeypatch) -> None:
    monkeypatch.setattr(notes, "PICTURES_MAX", 1)
    operator = browser("operator")
    assert upload(operator, drawn(size=(1, 1))) == 302
    assert upload(operator, drawn(size=(2, 1))) == 400


# ---- the same over REST --------------------------------------------------------------------------------------


def test_the_api_says_the_same(own) -> None:
    client: APIClient = client_of("alice")
    told = client.get("/api/v1/journal/", {"symbol": "INFY", "limit": 1}).json()
    assert (told["count"], len(told["results"])) == (2, 1)
    assert told["total"]["gross"] == "200.00"
    assert Decimal(told["total"]["net"]) == journal.total(journal.entries("paper", ALL)).net
    assert set(told["by_day"]) == {"2019-07-09", "2019-07-10"}

    address = f"/api/v1/journal/{the_gain()}/"
    said = {"text": "well done", "tags": ["patience"], "revision": 0}
    assert client.post(address + "note/", said).json()["revision"] == 1
    assert client.post(address + "note/", said | {"text": "mine"}).json()["error"]["code"] == "note_changed"
    file = SimpleUploadedFile("a.png", drawn(), content_type="image/png")
    (picture,) = client.post(address + "pictures/", {"file": file}, format="multipart").json()["pictures"]
    assert client.get(f"/api/v1/journal/pictures/{picture['id']}/").content == drawn()
    removal = f"/api/v1/journal/pictures/{picture['id']}/remove/"
    assert client.post(removal, {}).status_code == 400
    assert client.post(removal, {"reason": "wrong trade"}).json()["pictures"] == []
    assert bytes(TradePicture.objects.get().data) == b""
    assert client.get(f"/api/v1/journal/pictures/{picture['id']}/").status_code == 404
    assert client.get(address).json()["legs"][0]["slipped"] == "-50.00"


@pytest.mark.parametrize("query", ["first=never", "limit=0", "broker=nse", "colour=red"])
def test_the_api_refuses_nonsense(own, query: str) -> None:
    answer = client_of("bob").get(f"/api/v1/journal/?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]["fields"]
