"""Alerts: `alerts` lists the open ones, `alerts ack ID…` takes them upon oneself, `alerts silence CODE [SUBJECT]
--until 1h` keeps messages of them back, `alerts unsilence ID` ends that, `alerts silences` lists it; `alerts channels`
lists where they go, `alerts add NAME` reads an address without showing it, `alerts test NAME` tries it, and there are
`alerts enable`, `disable` and `remove NAME`. Acts want `--reason`; `--all` lists what is over too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.core.vocabulary import Severity
from alphapanda.web.console import ActCommand, asked_for
from risk.channel_models import AlertDelivery, AlertSilence
from risk.domain.silences import WANTED
from risk.selectors import (
    alerts_as_rows,
    alerts_open,
    alerts_raised,
    channels_as_rows,
    channels_there,
    silences_as_rows,
    silences_in_force,
)
from risk.services import channels
from risk.services.alerts import alerts_acknowledge
from risk.services.silences import silence_begin, silence_end

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

TEST_S = 40  # a send has 15, and may stand behind another
ACTS = (
    *("ack", "silence", "unsilence", "silences"),
    *("channels", "add", "test", "enable", "disable", "remove"),
)


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=ACTS)
        parser.add_argument(
            "what", nargs="*", help="ids of alerts, a code and a subject, or the name of a channel"
        )
        parser.add_argument("--all", action="store_true", dest="everything", help="what is over too")
        parser.add_argument("--until", default="", help=f"of a silence: {WANTED}")
        parser.add_argument(
            "--least", choices=list(Severity), default=Severity.WARNING, help="of a channel: least severity"
        )
        super().add_arguments(parser)

    def handle(self, *, act: str | None, what: list[str], as_json: bool, **options: Any) -> None:
        self.by = {"actor": options["actor"], "reason": options["reason"], "now": timezone.now()}
        match act:
            case "silence" | "unsilence":
                self._silence(act, what, options["until"])
            case "add" | "test" | "enable" | "disable" | "remove":
                self._channel(act, what, options)
            case "ack":
                self.act(alerts_acknowledge, ids=_ids(what), **self.by)
        self._show(act, as_json=as_json, everything=options["everything"])

    def _show(self, act: str | None, *, as_json: bool, everything: bool) -> None:
        """What is there after the act, of the kind that it is about."""
        silences = list(silences_in_force(timezone.now()))
        if act in ("silence", "unsilence", "silences"):
            listed = AlertSilence.objects.order_by("-at")[:200] if everything else silences
            self.show(silences_as_rows(listed), as_json=as_json, nothing="Nothing is silent.")
        elif act in (None, "ack"):
            found = alerts_raised() if everything else alerts_open()
            self.show(alerts_as_rows(found[:200], silences), as_json=as_json, nothing="No alert is open.")
        else:
            nothing = "Alerts go nowhere but the page: `alerts add NAME`."
            self.show(channels_as_rows(channels_there()), as_json=as_json, nothing=nothing)

    def _silence(self, act: str, what: list[str], until: str) -> None:
        if act == "unsilence":
            for silence_id in _ids(what):
                self.act(silence_end, silence_id=silence_id, **self.by)
            return
        if not 1 <= len(what) <= 2 or not until:
            raise CommandError(
                "Name a code, a subject if you like, and an end: `alerts silence CODE --until 1h`."
            )
        self.act(silence_begin, code=what[0], subject="".join(what[1:]), until=until, **self.by)

    def _channel(self, act: str, what: list[str], options: dict[str, Any]) -> None:
        if len(what) != 1:
            raise CommandError(f"Name the channel: `alerts {act} NAME`.")
        if act == "add":
            least = Severity(options["least"])
            address = asked_for("Address (not shown)")
            self.act(channels.channel_add, name=what[0], address=address, least=least, **self.by)
            return
        found = self.act(channels.channel_named, name=what[0]).pk
        if act == "test":
            self._test(self.act(channels.channel_test, channel_id=found, **self.by))
        elif act == "remove":
            self.act(channels.channel_remove, channel_id=found, **self.by)
        else:
            self.act(channels.channel_switch, channel_id=found, is_enabled=act == "enable", **self.by)

    def _test(self, made: AlertDelivery) -> None:
        """Wait for what comes of a test. Raises CommandError where nobody sent it, or it was not taken."""
        until = time.monotonic() + TEST_S
        while made.state in (AlertDelivery.State.WAITING, AlertDelivery.State.SENDING):
            if time.monotonic() > until:
                raise CommandError(
                    f"Not sent within {TEST_S} s: is the role alerts of `manage.py up` running?"
                )
            time.sleep(0.1)
            made.refresh_from_db()
        if made.state != AlertDelivery.State.SENT:
            raise CommandError(f"The test was not taken: {made.words}")
        self.stderr.write(self.style.SUCCESS("The test was taken."))


def _ids(what: list[str]) -> list[int]:
    """Raises CommandError where there is none, or one that is no number."""
    if not what or not all(one.isdecimal() for one in what):
        raise CommandError("Name them by their ids: `alerts ack 3 4 --reason …`.")
    return [int(one) for one in what]
