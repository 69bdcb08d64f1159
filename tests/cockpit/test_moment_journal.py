"""The journal and the audit trail of a past moment: what had been booked, noted and done by then."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.services import audit
from alphapanda import journal
from alphapanda.core.vocabulary import Side
from execution.models import Fill
from portfolio import journal as notes
from portfolio.models import Posting, TradeNote
from tests.cockpit import world
from tests.cockpit.test_journal import ALL, trades
from tests.cockpit.test_moment import now_passed, rows
from tests.cockpit.test_pages import browser
from tests.portfolio.test_pictures import drawn

pytestmark = pytest.mark.django_db
E4 = 10_000


def booked() -> None:
    """Fills that are new, as booked now."""
    known = Fill.objects.filter(pk__in=Posting.objects.values("fill_id"))
    world.posted(but=set(known.values_list("pk", flat=True)))


def noted(trade_id, text: str, *tags: str) -> None:
    before = TradeNote.objects.filter(pk=trade_id).first()
    notes.note_write(
        trade_id=trade_id, text=text, tags=tags, revision=before.revision if before else 0,
        actor="ann", now=timezone.now(),
    )  # fmt: skip


def test_trades_are_those_that_had_been_booked_with_what_was_said_of_them_then() -> None:
    (infy,) = world.desk(count=1).deployments
    viewer = browser("viewer")
    before = now_passed()
    world.trade(infy, 60, Side.BUY, 100, 1_500 * E4)
    booked()
    opened = now_passed()
    trade_id = Fill.objects.get().pk
    noted(trade_id, "was early", "breakout")
    said = now_passed()
    noted(trade_id, "was too early")
    world.trade(infy, 660, Side.SELL, 100, 1_505 * E4)
    booked()
    closed = now_passed()
    noted(trade_id, "last words", "late")

    assert rows(viewer, "/journal/", before, "trips") == []
    assert viewer.get(f"/journal/{trade_id}/", {"at": before}).status_code == 404
    (first,) = rows(viewer, "/journal/", opened, "trips")
    assert ">open<" in first
    assert "was early" not in first
    (second,) = rows(viewer, "/journal/", said, "trips")
    assert ">open<" in second
    assert "was early" in second
    assert "breakout" in second
    (third,) = rows(viewer, "/journal/", closed, "trips")
    assert "+₹500.00" in third
    assert "was too early" in third
    assert "breakout" not in third
    assert "last words" in trades(viewer)[str(trade_id)]
    assert "1 open, not in it" in rows(viewer, "/journal/", said, "triptiles")[0]

    page = viewer.get(f"/journal/{trade_id}/", {"at": said}).content.decode()
    assert "PAST" in page
    assert "open: 100" in page
    assert "was early" in page
    assert "It shows what is known now" not in page
    assert "note-form" not in browser("operator").get(f"/journal/{trade_id}/", {"at": said}).content.decode()
    assert journal.entries("paper", ALL)[0].note.text == "last words"


def test_a_picture_that_was_removed_since_leaves_its_name() -> None:
    (infy,) = world.desk(count=1).deployments
    world.trade(infy, 60, Side.BUY, 100, 1_500 * E4)
    booked()
    trade_id, operator, before = Fill.objects.get().pk, browser("operator"), now_passed()
    file = SimpleUploadedFile("screen.png", drawn("PNG"))
    assert operator.post(f"/journal/{trade_id}/", {"picture": "1", "file": file}).status_code == 302
    there = now_passed()
    (picture,) = notes.pictures_of([trade_id])
    notes.picture_remove(picture_id=picture.pk, reason="blurred", actor="ann", now=timezone.now())

    def page(at: str) -> str:
        return operator.get(f"/journal/{trade_id}/", {"at": at}).content.decode()

    assert "screen.png" not in page(before)
    assert "screen.png" in page(there)
    assert "Removed" in page(there)
    assert "<img" not in page(there)
    assert "screen.png" not in page(now_passed())


def test_who_did_what_by_then_and_no_line_of_a_process(settings, tmp_path) -> None:
    operator = browser("operator")
    audit(action="halt.throw", target="everything", actor="ann", reason="early act", details={})
    at = now_passed()
    audit(action="halt.throw", target="everything", actor="ann", reason="later act", details={})
    settings.RUN_DIR = tmp_path
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("a line\n")

    then = "".join(rows(operator, "/logs/", at, "audits"))
    assert "early act" in then
    assert "later act" not in then
    assert "later act" in operator.get("/logs/").content.decode()
    assert "a line" in operator.get("/logs/?show=log").content.decode()
    assert rows(operator, "/logs/", at, "loglines", show="log") == []
    assert "none are shown" in operator.get("/logs/", {"at": at}).content.decode()
