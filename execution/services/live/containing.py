"""A bad row, update or answer costs itself only: what it raised is one alert, it is left alone for a while, and the
broker's process goes on with the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.db import OperationalError, transaction

from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker, Severity
from alphapanda.eventlog.retries import Fault, classify
from execution.models import BrokerCall, Order
from risk.models import Alert
from risk.services.alerts import alert_raise
from strategies.loading import DeploymentBusy
from strategies.models import Report

CODE = "broker_fault"  # of the alerts
OF_CALLS = ("call", "request", "answer", "search")  # units by what their subject is the id of
OF_ORDERS, OF_REPORTS = ("order", "cancellation"), ("report",)
PART = "process"  # of a round of the broker's process
OF_ALL = (PART, "login", "book")  # nobody trades, or nobody sees, while such a thing fails
BUSY, BUSY_MS = (
    "its deployment is busy",
    1_000,
)  # the fault of what its worker holds, and how long it is left alone
REST_MS = 10_000  # before what has failed is tried again
PART_REST_MS = (
    500  # before a part of a round is: exits and kill switches wait for it, rows rest by themselves
)
KEPT_MAX = 10_000
_resting: dict[tuple[str, str], int] = {}  # unit and subject, and until when it is left alone
log = logs.channel("trading")


class Held:
    """What came of a contained piece of work: `fault` is why it failed, empty where it did not."""

    fault = ""


@contextmanager
def contained(unit: str, subject: object, now: datetime) -> Iterator[Held]:
    """Let what is done in here cost no more than itself; what a deployment's worker holds is no alert. Raises TRANSIENT
    faults, which are nobody's own."""
    held = Held()
    try:
        yield held
    except DeploymentBusy:
        held.fault = BUSY
        leave_alone(unit, subject, now)
    except Exception as error:
        if is_everybodys(error):
            raise
        held.fault = park(unit, subject, error, now)


def is_everybodys(error: Exception) -> bool:
    """Whether a fault says nothing of the row that met it: the database or the log is away."""
    return isinstance(error, OperationalError) or classify(error) is Fault.TRANSIENT


def park(unit: str, subject: object, error: Exception, now: datetime) -> str:
    """Leave something alone for a while, and tell a person why; the words. Where it is about a deployment's order, the
    alert is about that deployment alone; it is critical, and so is one about what all need."""
    deployment_id = _concerned(unit, subject)
    words = logs.without_secrets(f"{type(error).__name__}: {error}").replace("\0", "")[:200]
    name = f"{unit} {subject}"[:120]
    if not Alert.objects.filter(code=CODE, subject=name, acknowledged_at=None).exists():
        log.error("execution.broker.contained", unit=unit, subject=str(subject), exc_info=error)
    if len(_resting) >= KEPT_MAX:
        forget()
    _resting[unit, str(subject)] = to_ms(now) + (PART_REST_MS if unit == PART else REST_MS)
    alert_raise(
        code=CODE,
        subject=name,
        text=words,
        severity=Severity.CRITICAL if deployment_id or unit in OF_ALL else Severity.WARNING,
        deployment_id=deployment_id,
        broker=Broker.ZERODHA,
        now=now,
    )
    return words


def _concerned(unit: str, subject: object) -> UUID | None:
    """Whose order something is about; None where it is about the account."""
    if unit in OF_CALLS:
        return (
            BrokerCall.objects.values_list("order__order__deployment_id", flat=True)
            .filter(id=subject)
            .first()
        )
    if unit in OF_ORDERS:
        return Order.objects.values_list("deployment_id", flat=True).filter(id=subject).first()
    if unit in OF_REPORTS:
        return Report.objects.values_list("deployment_id", flat=True).filter(id=subject).first()
    return None


def leave_alone(unit: str, subject: object, now: datetime) -> None:
    """For a moment: its turn comes again."""
    _resting[unit, str(subject)] = to_ms(now) + BUSY_MS


def rests(unit: str, subject: object, now: datetime) -> bool:
    """Whether something failed a moment ago."""
    return _resting.get((unit, str(subject)), 0) > to_ms(now)


def resting(unit: str, now: datetime) -> list[str]:
    """All of a kind that failed a moment ago."""
    return [
        subject for (kind, subject), until_ms in _resting.items() if kind == unit and until_ms > to_ms(now)
    ]


def forget() -> None:
    """A process begins: nothing has failed yet."""
    _resting.clear()


def savepoint(unit: str, subject: object, now: datetime, act: Callable[[], object]) -> str:
    """Do a piece of work wholly or not at all, contained; why it failed, empty where it did not."""
    with contained(unit, subject, now) as held, transaction.atomic():
        act()
    return held.fault
