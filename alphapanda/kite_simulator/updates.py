"""Order updates on their way to the account: the websocket's text frames and the app's postbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.kite_simulator.clock import Schedule
from alphapanda.kite_simulator.faults import Faults
from alphapanda.kite_simulator.orders import CANCELLED_AMO, Row, SimOrder
from alphapanda.kite_simulator.sessions import Account, checksum

UPDATE = "UPDATE"  # a status of updates alone: modified, or filled in part
NOT_IN_UPDATES = ("account_id", "modified", "tags")
RESTS = (S.OPEN.value, S.TRIGGER_PENDING.value)
ENDS = (S.COMPLETE.value, S.CANCELLED.value, S.REJECTED.value, CANCELLED_AMO)
Send = Callable[[Row], None]


def told_status(row: Row, before: Row | None) -> str:
    """The status under which an update tells of a row; empty where none is sent."""
    status = row["status"]
    if status in ENDS:
        return str(status)
    if status == S.MODIFIED:
        return UPDATE
    if status not in RESTS or before is None:
        return ""
    if row["filled_quantity"] > before["filled_quantity"]:
        return UPDATE
    return "" if before["status"] == S.MODIFIED else str(status)


def update_of(row: Row, status: str, account: Account) -> Row:
    """A row in the shape of a postback."""
    kept = {name: value for name, value in row.items() if name not in NOT_IN_UPDATES}
    return {
        "user_id": account.user_id,
        "unfilled_quantity": row["pending_quantity"],
        "app_id": account.app_id,
        "checksum": checksum(row["order_id"], row["order_timestamp"], account.api_secret),
        **kept,
        "status": status,
    }


class Updates:
    """Sends what rows tell: to every subscriber, and to the app's own address where the order is the app's."""

    def __init__(self, account: Account, schedule: Schedule, faults: Faults) -> None:
        self._account = account
        self._schedule = schedule
        self._faults = faults
        self._queues: set[asyncio.Queue[Row]] = set()
        self.post: Send | None = None  # to the app's address

    def subscribe(self, user_id: str) -> asyncio.Queue[Row]:
        """Every update of the account's orders from now on. Raises KeyError for another account."""
        if user_id != self._account.user_id:
            raise KeyError(user_id)
        queue: asyncio.Queue[Row] = asyncio.Queue()
        self._queues.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Row]) -> None:
        self._queues.discard(queue)

    def tell(self, order: SimOrder, row: Row, before: Row | None, at_ms: int) -> None:
        """Send what a new row of an order tells, as far as faults let it."""
        status = told_status(row, before)
        if not status:
            return
        update = update_of(row, status, self._account)
        for delay_ms, one in self._faults.updates(update):
            self._schedule.at(at_ms + delay_ms, lambda _, one=one: self._send(order, one))

    def _send(self, order: SimOrder, update: Row) -> None:
        for queue in self._queues:
            queue.put_nowait(update)
        if order.app and self.post is not None and update["status"] in (*ENDS, UPDATE):
            self.post(update)
