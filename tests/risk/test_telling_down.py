"""A service of messages that is down, a clock that is set back: the alert comes all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from risk.channel_models import AlertChannel, AlertDelivery
from risk.domain.telling import PAUSES
from risk.services import telling
from tests.risk.hearing import Service, service
from tests.risk.test_telling import Clock, State, a_channel, raised, states

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as found:
        yield found


def test_a_service_that_is_down_is_asked_less_and_less_often_and_given_up(there: Service, clock: Clock):
    channel = a_channel(there.address)
    raised()
    there.status = 503
    telling.deliver(clock)
    for pause in PAUSES:
        clock.pass_(seconds=pause.total_seconds() - 1)
        assert telling.deliver(clock) == 0
        clock.pass_(seconds=2)
        assert telling.deliver(clock) == 1
    for _ in range(2):
        clock.pass_(days=1)
        telling.deliver(clock)

    row = AlertDelivery.objects.get(alert__code="drill")
    assert (row.state, row.tries) == (State.GIVEN_UP, len(PAUSES) + 2)
    assert "Service unavailable" in row.words or "503" in row.words
    channel.refresh_from_db()
    assert channel.failure == row.words
    assert channel.sent_at is None


def test_a_line_that_is_dead_for_a_night_costs_no_message(there: Service, clock: Clock):
    a_channel(there.address)
    there.status = 503
    raised()
    for _ in range(8 * 6):
        telling.deliver(clock)
        clock.pass_(minutes=10)
    there.status = 200
    there.heard.clear()
    clock.pass_(minutes=30)
    telling.deliver(clock)

    assert (states(), len(there.heard)) == ([State.SENT], 1)


def test_what_waited_goes_out_at_once_when_the_service_is_back(there: Service, clock: Clock):
    a_channel(there.address)
    there.status = 500
    raised(subject="one")
    raised(subject="two")
    telling.deliver(clock)
    there.status = 200
    there.heard.clear()
    assert telling.deliver(clock) == 0  # both wait, though only one has failed
    clock.pass_(seconds=11)
    telling.deliver(clock)

    assert len(there.heard) == 2
    assert AlertChannel.objects.get().failing_since is None


@pytest.mark.parametrize("state", [State.WAITING, State.SENDING])
def test_a_clock_that_is_set_back_holds_up_no_message(state, there: Service, clock: Clock):
    """What a clock that ran ahead has put off, or a process that died then has left, is due at once."""
    a_channel(there.address)
    raised()
    clock.pass_(hours=3)
    if state == State.WAITING:
        there.status = 503
        telling.deliver(clock)
        there.status = 200
        there.heard.clear()
    else:
        assert telling._claimed(AlertChannel.objects.get().pk, clock())
    assert states() == [state]
    clock.ahead = timedelta(seconds=1)
    telling.deliver(clock)

    assert (states(), len(there.heard)) == ([State.SENT], 1)
