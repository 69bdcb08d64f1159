"""Alerts: in groups until somebody takes or silences them, and where they go besides the page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.vocabulary import Severity
from alphapanda.web.formats import ist_stamp
from risk.channel_models import AlertChannel, AlertDelivery
from risk.models import Alert
from risk.services import telling
from risk.services.alerts import alert_acknowledge, alert_raise
from risk.services.channels import channel_switch, channel_test
from risk.services.silences import silence_begin
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.risk.hearing import TOKEN, service
from tests.risk.test_telling import BY, a_channel

pytestmark = pytest.mark.django_db
ADDRESS = f"json://127.0.0.1:9/{TOKEN}/"


@pytest.fixture
def operator() -> Client:
    world.desk(count=1)
    projections.rebuild()
    return browser("operator")


def rows(client: Client, kind: str, query: str = "") -> dict[str, str]:
    """By id, in the order of the page."""
    found = client.get(f"/alerts/{query}", headers=ROWS).json()["rows"][kind]
    order = {one: re.search('data-order="([^"]*)"', html)[1] for one, html in found.items()}
    return {one: found[one] for one in sorted(found, key=lambda one: order[one])}


def raised(code: str = "odd", subject: str = "INFY", severity: Severity = Severity.CRITICAL) -> Alert:
    return alert_raise(
        code=code, subject=subject, text=f"{subject} is odd", severity=severity, now=timezone.now()
    )


def test_alerts_are_open_until_somebody_takes_them(operator: Client) -> None:
    page = operator.get("/alerts/").content.decode()
    assert "Nothing to report" in page
    assert '<a href="#title-channels">add a channel</a>' in page
    assert "add a channel</a>" not in browser("viewer").get("/alerts/").content.decode()
    alert = raised()
    group, shown = rows(operator, "alerts").values()
    assert "INFY is odd" in shown
    assert f"/api/v1/alerts/{alert.pk}/acknowledge/" in shown
    assert 'data-silence="odd" data-subject="INFY"' in shown
    assert 'data-silence="odd" data-subject=""' in group
    alert_acknowledge(alert_id=alert.pk, reason="seen", actor="ann", now=timezone.now())
    assert rows(operator, "alerts") == {}
    (shown,) = rows(operator, "alerts", "?state=all").values()
    assert 'title="seen"' in shown
    assert operator.get("/alerts/?state=odd").status_code == 400


def test_they_stand_in_groups_with_the_gravest_first(operator: Client) -> None:
    mild = [raised("mild", name, Severity.WARNING).pk for name in ("A", "B", "C", "D", "E")]
    grave = raised("grave")
    raised("quiet")
    silence_begin(code="quiet", until="1h", now=timezone.now(), **BY)

    shown = rows(operator, "alerts")
    heads = [one for one in shown if one.startswith("group-")]
    assert heads == ["group-grave", "group-mild", "group-quiet"]
    assert list(shown)[1] == str(grave.pk)
    head = shown["group-mild"]
    assert '<b class="count">5</b>' in head
    assert "E, D, C and 2 more" in head
    assert ist_stamp(int(Alert.objects.get(pk=mild[-1]).raised_at.timestamp() * 1000)) in head
    assert f"{{&quot;ids&quot;: {mild[::-1]}}}" in head
    assert all('data-of="mild"' in shown[str(pk)] for pk in mild)


def test_what_is_silent_is_marked_with_until_when_and_by_whom_and_leaves_the_banner(operator: Client) -> None:
    alert = raised()
    projections.refresh()
    assert "INFY is odd" in operator.get("/orders/").content.decode()
    made = silence_begin(code="odd", subject="INFY", until="1h", now=timezone.now(), **BY)
    projections.refresh()

    until = ist_stamp(int(made.until.timestamp() * 1000))
    assert f"silent until {until}, by alice" in rows(operator, "alerts")[str(alert.pk)]
    (silence,) = rows(operator, "silences").values()
    assert until in silence
    assert f"/api/v1/alert-silences/{made.pk}/end/" in silence
    page = operator.get("/orders/").content.decode()
    assert "INFY is odd" not in page
    assert ">1 silent<" in page


def test_a_channel_is_added_by_the_form_and_its_address_never_comes_back(operator: Client) -> None:
    given = {"name": "desk", "address": ADDRESS, "least": "CRITICAL"}
    page = operator.post("/alerts/", given)
    assert page.status_code == 200
    assert "desk (JSON) is added" in page.content.decode()
    again = operator.post("/alerts/", given)
    assert again.status_code == 400
    assert "There is a channel &#x27;desk&#x27; already" in again.content.decode()
    wrong = operator.post("/alerts/", given | {"address": f"nowhere://{TOKEN}", "name": "other"})
    assert wrong.status_code == 400
    assert "begins with nowhere://" in wrong.content.decode()
    unnamed = operator.post("/alerts/", given | {"name": ""})
    assert (unnamed.status_code, "This field is required" in unnamed.content.decode()) == (400, True)
    assert not [one for one in (page, again, wrong, unnamed) if TOKEN in one.content.decode()]
    assert AlertChannel.objects.get().created_by == "operator"


def test_who_only_looks_sees_the_channels_and_adds_none(operator: Client) -> None:
    a_channel(ADDRESS)
    viewer = browser("viewer")
    page = viewer.get("/alerts/").content.decode()
    assert "<b>desk</b>" in page
    assert 'name="address"' not in page
    assert 'id="silence-dialog"' not in page
    assert viewer.post("/alerts/", {"name": "x", "address": ADDRESS, "least": "WARNING"}).status_code == 403
    assert AlertChannel.objects.count() == 1


def test_a_channel_says_how_it_does(operator: Client) -> None:
    def shown() -> str:
        (row,) = rows(operator, "channels").values()
        return re.sub("<[^>]*>", " ", row)

    with service() as there:
        channel = a_channel(there.address)
        assert "not used yet" in shown()
        channel_test(channel_id=channel.pk, now=timezone.now(), **BY)
        assert "Test on its way" in shown()
        assert "data-under-way" in rows(operator, "channels")[str(channel.pk)]
        telling.deliver()
        assert "Test taken at" in shown()
        assert "data-under-way" not in rows(operator, "channels")[str(channel.pk)]
        there.status = 401
        channel_test(channel_id=channel.pk, now=timezone.now(), **BY)
        telling.deliver()
        assert "Test not taken at" in shown()
        assert "Verification Failed" in shown()
        raised()
        telling.deliver()
        assert "fails  since" in shown()
        assert "1 to be told" in shown()
        AlertDelivery.objects.filter(alert__isnull=False).update(state="GIVEN_UP")
        assert "1 given up today" in shown()
        AlertDelivery.objects.update(created_at=timezone.now() - timedelta(days=2))
        assert "given up today" not in shown()
    channel_switch(channel_id=channel.pk, is_enabled=False, now=timezone.now(), **BY)
    assert " off " in shown()


def test_the_tone_is_opted_for_and_the_bell_says_when_the_last_critical_alert_came(operator: Client) -> None:
    assert "data-sound" not in operator.get("/orders/").content.decode().partition("<head>")[0]
    assert operator.post("/look/", {"sound": "on"}).status_code == 302
    assert 'data-sound="on"' in operator.get("/orders/").content.decode().partition("<head>")[0]
    assert 'aria-pressed="true"' in operator.get("/alerts/").content.decode()
    raised("mild", severity=Severity.WARNING)
    alert = raised()
    projections.refresh()
    newest = f'data-newest="{int(alert.raised_at.timestamp() * 1000)}"'
    assert newest in operator.get("/orders/").content.decode()
    silence_begin(code="odd", until="1h", now=timezone.now(), **BY)
    projections.refresh()
    assert 'data-newest=""' in operator.get("/orders/").content.decode()
