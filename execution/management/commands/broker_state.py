"""Where the account at the broker stands: its process, calls that wait, differences, budgets: `broker_state --json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.core.clock import ist_text, to_ms
from alphapanda.web.console import ListCommand
from execution.live_api import desk_as_json
from execution.live_selectors import DeskNow, desk_now
from execution.services.live.account import outside_of

if TYPE_CHECKING:
    from datetime import datetime

    from execution.models import BrokerDesk


class Command(ListCommand):
    help = __doc__

    def handle(self, *, as_json: bool, **_options: Any) -> None:
        now = desk_now(timezone.now())
        if as_json:
            self.stdout.write(json.dumps(desk_as_json(now), default=str))
            return
        for name, value in _lines(now).items():
            self.stdout.write(f"{name:<18}{value}")
        for fault in now.faults:
            self.stdout.write(f"left alone        {fault}")
        self.show([_row(one) for one in desk_as_json(now)["left"]], as_json=False)


def _lines(now: DeskNow) -> dict[str, str]:
    desk = now.desk
    if desk is None:
        return {"process": "never ran: `manage.py up`, or `manage.py broker`"}
    waiting = ", ".join(f"{count} {state}" for state, count in sorted(now.waiting.items()))
    return {
        "process": f"last at work {_time(desk.seen_at)}",
        "sends": f"nothing: {desk.stopped}" if desk.stopped else "yes",
        "book compared": _time(desk.reconciled_at),
        "calls waiting": waiting or "none",
        "orders at work": str(now.open_orders),
        "orders of others": str(now.external_open),
        "held outside": ", ".join(_outside(desk)) or "none",
        "GTTs that stand": f"{now.gtts}, read {_time(desk.gtts_read_at)}",
        "differences": str(now.differences),
        "funds": "not told yet" if now.funds is None else f"{now.funds:.2f} rupees at most",
        "our books": f"{now.books:.2f} rupees at most",
        "charges compared": str(desk.charged_on or "never"),
    }


def _outside(desk: BrokerDesk) -> list[str]:
    """Units that the account holds beside our books, by instrument and product."""
    return [f"{place} {units}" for place, units in sorted(outside_of(desk).units.items())]


def _row(left: dict[str, Any]) -> dict[str, Any]:
    return {
        "lane": left["lane"],
        "left this second": left["second"],
        "minute": left["minute"],
        "orders today": left["day"],
    }


def _time(moment: datetime | None) -> str:
    return ist_text(to_ms(moment)) if moment else "never"
