"""A deployment folded anew from the log and from what people and brokers did, beside the rows that are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts.models import AuditEntry
from alphapanda.core.refusals import BadRequest
from alphapanda.core.vocabulary import Waiting
from alphapanda.engine import stored_rows
from alphapanda.engine.account import Account
from alphapanda.engine.desk import Desk
from alphapanda.engine.live_account import LiveReport
from alphapanda.eventlog.records import Record
from alphapanda.eventlog.topics import MARKET_TICKS
from alphapanda.proof import parity
from alphapanda.warming import from_table
from execution.domain.live import Reported
from execution.reference import charge_cards
from marketdata.domain.ticks import Batch, Clock, MalformedTicks, Tick, unpack
from marketdata.reference import load_calendars
from risk.loading import oversights
from strategies import loading
from strategies.domain.base import DeploymentSpec, build
from strategies.domain.signals import DueItem
from strategies.models import Command, Deployment, Report
from strategies.registry import find

MESSAGES = 500  # read at once
READ_WAIT_S = 5.0


class NoReplay(BadRequest):
    """A deployment cannot be folded anew; the text says why."""


class Reader(Protocol):
    """What is asked of `LogReader`."""

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]: ...

    def assign(self, topic: str, offsets: dict[int, int]) -> None: ...

    def poll(self, *, messages_max: int, timeout_s: float) -> Sequence[Record]: ...


class Replay(msgspec.Struct, frozen=True):
    """Rows by kind as stored, and those in which the fold differs."""

    deployments: list[str]
    items: int
    rows: dict[str, int]
    differences: int
    first: list[parity.Difference]


def replay(name: str, *, reader: Reader, incarnation: UUID) -> Replay:
    """Fold a deployment, with those that share limits with it, from the first message that it read up to where it
    stands, with the installed code, and compare every row. Raises NoReplay."""
    with transaction.atomic():
        if len(connection.savepoint_ids) == 0:
            connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        members = _members(name)
        for member in members:
            _check(member, incarnation)
        accounts = _accounts(members)
        stored = {member.name: stored_rows.of_deployment(member) for member in members}
    items = _fold(members, accounts, reader)
    count, first = parity.compare(parity.of_accounts(accounts), stored)
    return Replay([member.name for member in members], items, parity.counted(stored), count, first)


def _members(name: str) -> list[Deployment]:
    rows = Deployment.objects.select_related("strategy_version__strategy")
    found = rows.filter(name=name).first()
    if found is None:
        raise NoReplay(f"there is no deployment {name!r}")
    return list(_sharing(rows.filter(group=found.group), found)) if found.group else [found]


def _sharing(group: QuerySet[Deployment], asked: Deployment) -> QuerySet[Deployment]:
    """One that was never started has done nothing that counts to the others' limits."""
    return group.filter(Q(pk=asked.pk) | Q(incarnation__isnull=False)).order_by("id")


def _check(row: Deployment, incarnation: UUID) -> None:
    if row.incarnation is None:
        raise NoReplay(f"{row.name} has read nothing yet")
    if row.incarnation != incarnation or row.first_offset is None:
        raise NoReplay(f"{row.name}: what it has read is not in this log")
    if row.waiting != Waiting.NOTHING:
        raise NoReplay(f"{row.name} is at work ({row.waiting}): ask again, or pause it")
    if row.reports.filter(told_at=None).exists():
        raise NoReplay(f"{row.name} has not heard yet of reports that are booked: start it first")


def _accounts(members: Sequence[Deployment]) -> list[Account]:
    every = oversights()
    desk = Desk(
        [_spec(row) for row in members],
        calendar=load_calendars(),
        cards=charge_cards(),
        commands={row.id: _commands(row) for row in members},
        oversights={row.id: every.get(row.id, ()) for row in members},
        reports={row.id: _reports(row) for row in members},
    )
    return desk.accounts


def _spec(row: Deployment) -> DeploymentSpec:
    plain = loading.spec_of(row, loading.instruments_of(row.id).values())
    added = AuditEntry.objects.filter(action="deployment.add", target=f"deployment:{row.name}").first()
    until_ms = added.details.get("warm_up_until_ms") if added else None
    if until_ms is None:
        return plain
    strategy = build(find(plain.strategy), plain.params)
    return msgspec.structs.replace(plain, history=from_table(until_ms)(plain, strategy))


def _commands(row: Deployment) -> dict[int, loading.CommandRow]:
    found = Command.objects.filter(deployment=row).exclude(step=None)
    found = found.select_related("entry__instrument", "instrument")
    return {one.step: loading.command_row(one) for one in found if one.step is not None}


def _reports(row: Deployment) -> dict[int, LiveReport]:
    found = Report.objects.filter(deployment=row).exclude(step=None)
    return {
        one.step: LiveReport(one.id, msgspec.convert(one.data, Reported, strict=False))
        for one in found
        if one.step is not None
    }


def _fold(members: Sequence[Deployment], accounts: Sequence[Account], reader: Reader) -> int:
    """Hand each item to all that have read it, in the order of the log; how many there were."""
    tokens, items = frozenset().union(*(account.machine.tokens for account in accounts)), 0
    for offset, batch in _batches(members, reader):
        for index in batch.indices_for(tokens):
            items += 1
            item, seq = batch.item(index), batch.seq(index)
            for row, account in zip(members, accounts, strict=True):
                if (row.first_offset or 0, 0) <= (offset, index) < (row.offset, row.index):
                    account.take(item, source=batch.source, seq=seq)
                elif (offset, index) >= (row.offset, row.index) and _is_ahead(row, account):
                    _match(account, item, source=batch.source, seq=seq)
    for account in accounts:
        account.obey()  # what came after the last item
    return items


def _matched(row: Deployment) -> int:
    return loading.consequences_of(row).matched_step


def _is_ahead(row: Deployment, account: Account) -> bool:
    """Whether orders were matched against the item that comes next, which the strategy has not seen yet."""
    return _matched(row) > max(account.machine.state.step, account.machine.consequences.matched_step)


def _match(account: Account, item: Tick | Clock, *, source: int, seq: int) -> None:
    account.obey()
    stop = account.machine.advance(item, source=source, seq=seq)
    if isinstance(stop, DueItem):
        account.settle(stop, item)


def _batches(members: Sequence[Deployment], reader: Reader) -> Iterator[tuple[int, Batch]]:
    """The messages that any of them has read."""
    first = min(row.first_offset or 0 for row in members)
    end = max(row.offset + (row.index > 0 or _matched(row) > row.step) for row in members)
    (partition,) = {row.partition for row in members}
    low, _ = reader.watermarks(MARKET_TICKS, partition)
    if first < low:
        raise NoReplay(f"message {first} is not kept any more: the log begins at {low}")
    reader.assign(MARKET_TICKS, {partition: first})
    while first < end:
        records = reader.poll(messages_max=min(MESSAGES, end - first), timeout_s=READ_WAIT_S)
        if not records:
            raise NoReplay(f"message {first} of the log does not come")
        for record in records:
            first = record.offset + 1
            yield from _unpacked(record)


def _unpacked(record: Record) -> Iterator[tuple[int, Batch]]:
    try:
        yield record.offset, unpack(record.value, is_redriven=record.is_redriven)
    except MalformedTicks:
        return  # it cost itself alone then, too
