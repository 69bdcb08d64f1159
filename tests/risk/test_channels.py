"""Channels of alerts: by service, command and API, and what is never seen of their addresses."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts import vault
from accounts.models import AuditEntry
from alphapanda.eventlog.models import OutboxEvent
from risk import messenger
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence
from risk.models import Alert
from risk.services import channels, telling
from tests.accounts.test_canary_secrets import dump
from tests.people import client_of
from tests.risk.hearing import TOKEN, Service, service
from tests.risk.test_telling import BY, a_channel, raised

pytestmark = pytest.mark.django_db
CHANNELS = "/api/v1/alert-channels/"
NOWHERE = "127.83.47.1:1"  # of this test alone: the page Logs shows what others have logged
PAGES = (
    "/admin/risk/alertchannel/",
    "/admin/risk/alertdelivery/",
    "/admin/risk/alert/",
    "/admin/accounts/auditentry/",
    CHANNELS,
    "/api/v1/alert-deliveries/",
    "/api/v1/audit/",
    "/api/v1/logs/",
    "/logs/",
)


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture
def everything_logged() -> Iterator[None]:
    """Whatever a library says, but for Django's templates, that speak of every name."""
    levels = {"": logging.DEBUG, "django": logging.INFO}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def leaks(text: str) -> list[str]:
    folded = text.lower()
    words = ("CanaryToken", "CanaryPassword")
    return [w for w in words if w.lower() in folded or w.encode().hex() in folded]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("json://127.0.0.1:9/x", "JSON"),
        ("jsons://panda.example.org/hook?token=CanaryToken1", "JSON"),
        ("mailtos://user:CanaryPassword@example.org?to=desk@example.com", "E-Mail"),
        ("tgram://123456789:CanaryToken_hijklmnopqr/12315544/", "Telegram"),
        ("ntfys://ntfy.sh/CanaryTokenTopic", "ntfy"),
    ],
)
def test_an_address_is_known_by_its_service_alone(address, name):
    assert messenger.service_of(address) == name


@pytest.mark.parametrize(
    "address",
    [
        "",
        "CanaryToken",
        "nowhere://CanaryToken/x",
        "tgram://CanaryToken",
        "https://panda.example.org/CanaryToken",
        "file:///CanaryToken",
        "json://127.0.0.1/Canary Token",
        "json://127.0.0.1/" + "CanaryToken" * 200,
    ],
)
def test_what_is_no_address_is_refused_in_words_without_it(address):
    with pytest.raises(messenger.AddressNotUnderstood, match="expected an address") as refused:
        a_channel(address)

    assert leaks(str(refused.value)) == []
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "discord://123456789012345678/" + "a" * 60 + "/?template={}",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk?template={}",
        "workflow://example.org:443/workflow1a/signature/?Template=file://{}",
        "tgram://123456789:abcdefg_hijklmnopqr/12315544/?template={}",
        "fcm://project/device?keyfile={}",
        "vapid://user@example.com?keyfile={0}&subfile={0}",
    ],
)
def test_an_address_names_no_file_whose_content_would_go_out(address, tmp_path):
    """A template is any JSON that the process may read: whoever adds a channel in a browser would be sent it."""
    file = tmp_path / "settings.json"
    file.write_text('{"content": "CanaryToken"}')

    with pytest.raises(messenger.AddressNotUnderstood, match="no file") as refused:
        a_channel(address.format(file))

    assert str(file) not in str(refused.value)
    assert not AlertChannel.objects.exists()


def test_every_part_of_an_address_is_taken_out_of_words():
    address = "json://user%40desk:CanaryPassword%2F1@hooks.example.org:8443/CanaryToken-1/x?key=CanaryToken2"
    words = (
        f"no route to {address}, user@desk said CanaryPassword/1 to hooks.example.org, canarytoken2 in JSON"
    )

    said = messenger.scrubbed(words, address)

    assert leaks(said) == []
    assert "example" not in said
    assert said.startswith("no route to …")
    assert said.endswith("in JSON")


def test_what_no_column_holds_is_taken_out_of_words_too(there: Service, monkeypatch):
    """Else what came of it could not be written down, and the message would go out again every minute for ever."""
    monkeypatch.setattr(messenger, "_why", lambda _result: "no\x00 such\ttopic")
    there.status = 500
    a_channel(there.address)
    raised()
    telling.deliver()

    assert AlertDelivery.objects.get().words == "no such topic"


def test_an_address_is_sealed_and_comes_out_nowhere(there: Service, capfd, everything_logged: None):
    browser = Client(raise_request_exception=False)
    api = client_of("alice")
    browser.cookies = api.cookies
    shown = []
    answer = api.post(CHANNELS, {"name": "desk", "address": there.address})
    shown += [
        answer.content.decode(),
        api.post(CHANNELS, {"name": "desk", "address": there.address}).content.decode(),
    ]
    shown.append(api.post(CHANNELS, {"name": "bad", "address": f"nowhere://{TOKEN}"}).content.decode())
    shown.append(api.post(CHANNELS, {"name": "", "address": there.address, "adress": TOKEN}).content.decode())
    channel = AlertChannel.objects.get()
    assert vault.unseal(channel.address, place=channel.address_place) == there.address
    for status in (200, 500, 401, 302):
        there.status = status
        shown.append(api.post(f"{CHANNELS}{channel.pk}/test/", {}).content.decode())
        telling.deliver()
    a_channel(f"json://{NOWHERE}/{TOKEN}/", "nobody there")
    raised()
    telling.deliver()
    pages = (*PAGES, f"/admin/risk/alertchannel/{channel.pk}/change/")
    answers = [browser.get(page) for page in pages]
    shown += [one.content.decode() for one in answers] + [repr(telling._claimed(channel.pk, timezone.now()))]
    written = "".join(capfd.readouterr())

    assert [one.status_code for one in answers] == [200] * len(pages)
    assert len(there.heard) == 5
    assert "risk.alert.untold" in written
    assert leaks(written) == []
    assert [leaks(one) for one in shown] == [[]] * len(shown)
    assert leaks(dump()) == []
    assert "nobody there" in "".join(shown)
    assert NOWHERE not in "".join(shown) + dump()


def test_no_log_level_lets_the_library_speak(there: Service, capfd, everything_logged: None):
    """Whatever is asked of the root, its own words go nowhere: they name the host and what stands behind it."""
    there.status = 500
    a_channel(there.address)
    raised()
    telling.deliver()

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    names = {line["logger"] for line in lines}
    assert "alphapanda.application" in names
    assert not {name for name in names if name.split(".")[0] in ("apprise", "urllib3", "requests")}


def test_a_name_is_taken_once_and_free_when_its_channel_is_removed():
    first = a_channel("json://127.0.0.1:9/x")
    with pytest.raises(channels.ChannelNameTaken):
        a_channel("json://127.0.0.1:9/y")
    channels.channel_remove(channel_id=first.pk, now=timezone.now(), **BY)
    with pytest.raises(channels.ChannelNotFound):
        channels.channel_remove(channel_id=first.pk, now=timezone.now(), **BY)
    again = a_channel("json://127.0.0.1:9/y")

    assert again.pk != first.pk
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "alert_channel.add",
        "alert_channel.remove",
        "alert_channel.add",
    ]
    assert OutboxEvent.objects.filter(type="operator.acted", key="alert_channel:desk").count() == 3


def test_there_is_an_end_to_channels(monkeypatch):
    monkeypatch.setattr(channels, "CHANNELS_MAX", 1)
    a_channel("json://127.0.0.1:9/x", "one")
    with pytest.raises(channels.ChannelRefused, match="remove one"):
        a_channel("json://127.0.0.1:9/x", "two")


def test_addresses_are_sealed_anew_with_other_credentials(settings):
    old, new = "o" * 64, "n" * 64
    settings.CREDENTIAL_KEYS = [old]
    channel = a_channel("json://127.0.0.1:9/x")
    settings.CREDENTIAL_KEYS = [new, old]
    out = io.StringIO()
    call_command("rotate_credentials", stdout=out)
    settings.CREDENTIAL_KEYS = [new]

    channel.refresh_from_db()
    assert vault.unseal(channel.address, place=channel.address_place) == "json://127.0.0.1:9/x"
    assert "1 sealed anew" in out.getvalue()


def test_channels_by_api():
    reader, operator = client_of("bob"), client_of("alice")
    made = operator.post(CHANNELS, {"name": "desk", "address": "json://127.0.0.1:9/x", "least": "CRITICAL"})
    assert (made.status_code, made.json()["service"], made.json()["created_by"]) == (201, "JSON", "alice")
    (shown,) = reader.get(CHANNELS).json()
    assert shown == made.json()
    assert "address" not in shown
    address = f"{CHANNELS}{shown['id']}/"
    for act in ("test", "enable", "disable", "remove"):
        assert reader.post(f"{address}{act}/", {"reason": "me"}).status_code == 403
    assert operator.post(CHANNELS, {"name": "x", "address": "nonsense"}).status_code == 400
    assert operator.post(f"{address}disable/", {}).status_code == 400
    assert operator.post(f"{address}disable/", {"reason": "drill"}).json()["is_enabled"] is False
    tests = [
        operator.post(f"{address}test/", {}, headers={"Idempotency-Key": key}).json()
        for key in ("a", "a", "b")
    ]
    assert [tests[0]["id"] == one["id"] for one in tests] == [True, True, False]
    listed = reader.get("/api/v1/alert-deliveries/", {"channel": shown["id"]}).json()["results"]
    assert [(one["state"], one["channel_name"], one["alert"]) for one in listed] == [
        ("WAITING", "desk", None)
    ] * 2
    assert operator.post(f"{address}remove/", {"reason": "drill"}).status_code == 200
    assert operator.post(f"{address}remove/", {"reason": "drill"}).status_code == 404
    assert reader.get(CHANNELS).json() == []


def test_silences_and_several_acknowledgements_by_api():
    reader, operator = client_of("bob"), client_of("alice")
    ids = [raised(subject=name).pk for name in ("one", "two")]
    silences = "/api/v1/alert-silences/"
    asked = {"code": "drill", "until": "1h", "reason": "mending"}
    assert reader.post(silences, asked).status_code == 403
    made = operator.post(silences, asked)
    assert (made.status_code, made.json()["by"]) == (201, "alice")
    assert operator.post(silences, asked | {"until": "never"}).status_code == 400
    listed = reader.get("/api/v1/alerts/", {"is_open": "true"}).json()["results"]
    assert {one["silent_until"] for one in listed} == {made.json()["until"]}
    end = f"{silences}{made.json()['id']}/end/"
    assert operator.post(end, {"reason": "mended"}).status_code == 200
    assert operator.post(end, {"reason": "mended"}).status_code == 409

    several = "/api/v1/alerts/acknowledge/"
    assert reader.post(several, {"ids": ids, "reason": "me"}).status_code == 403
    assert operator.post(several, {"ids": [*ids, 10**6], "reason": "on it"}).status_code == 404
    assert Alert.objects.filter(acknowledged_at=None).count() == 2
    answer = operator.post(several, {"ids": ids, "reason": "on it"})
    assert [one["note"] for one in answer.json()] == ["on it", "on it"]
    assert not Alert.objects.filter(acknowledged_at=None).exists()


def command(capsys: Any, *words: str, **options: Any) -> list[dict[str, Any]]:
    call_command("alerts", *words, "--json", **options)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_channels_by_command(capsys, monkeypatch, there: Service):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{there.address}\n"))
    (row,) = command(capsys, "add", "desk", "--least", "CRITICAL")
    assert (row["name"], row["service"], row["least"], row["sent_at"]) == ("desk", "JSON", "CRITICAL", "")
    assert command(capsys, "channels") == [row]
    monkeypatch.setattr("risk.management.commands.alerts.time.sleep", lambda _: telling.deliver())
    (row,) = command(capsys, "test", "desk")
    assert row["sent_at"]
    there.status = 500
    with pytest.raises(CommandError, match="was not taken: Failed to send"):
        call_command("alerts", "test", "desk")
    with pytest.raises(CommandError, match="Say why"):
        call_command("alerts", "disable", "desk")
    (row,) = command(capsys, "disable", "desk", "--reason", "drill")
    assert row["is_enabled"] is False
    assert command(capsys, "remove", "desk", "--reason", "drill") == []
    with pytest.raises(CommandError, match="no channel 'desk'"):
        call_command("alerts", "enable", "desk", "--reason", "x")
    with pytest.raises(CommandError, match="Name the channel"):
        call_command("alerts", "test")


def test_a_test_that_nobody_sends_says_so(monkeypatch):
    a_channel("json://127.0.0.1:9/x")
    monkeypatch.setattr("risk.management.commands.alerts.TEST_S", 0)
    with pytest.raises(CommandError, match="is the role alerts of"):
        call_command("alerts", "test", "desk")


def test_silences_by_command(capsys):
    raised()
    (row,) = command(capsys, "silence", "drill", "all", "--until", "1h", "--reason", "mending")
    assert (row["code"], row["subject"], row["reason"]) == ("drill", "all", "mending")
    assert command(capsys)[0]["silent_until"] == row["until"]
    with pytest.raises(CommandError, match="an end"):
        call_command("alerts", "silence", "drill", "--reason", "x")
    assert command(capsys, "unsilence", str(row["id"]), "--reason", "mended") == []
    assert command(capsys, "silences", "--all")[0]["ended_by"] == AlertSilence.objects.get().ended_by != ""
    assert command(capsys)[0]["silent_until"] == ""
    assert not AlertDelivery.objects.exists()
