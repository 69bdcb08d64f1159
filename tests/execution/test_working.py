"""What works counts at its worst: an order is done only where its status says so for good."""

from __future__ import annotations

import pytest

from alphapanda.core.vocabulary import FINAL_STATUSES, OrderStatus
from execution.domain.settlement import consequences, working_by_token
from execution.loading import orders_open, paper_order
from strategies.domain.consequences import Working
from tests.rows import a_decision, a_deployment, a_signal, an_order

DONE = {OrderStatus.COMPLETE, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED}


@pytest.mark.django_db
@pytest.mark.parametrize("status", OrderStatus)
def test_whatever_is_not_ended_works_for_all_that_has_not_traded(status: OrderStatus) -> None:
    row = an_order(a_decision(a_signal(a_deployment())))
    row.status, row.filled_quantity = status, 3
    row.save()

    found = [paper_order(one) for one in orders_open(row.deployment_id)]

    token = row.instrument.instrument_token
    assert working_by_token(found) == ({} if status in DONE else {token: Working(buy=7)})
    assert {order.id for order in consequences({}, found, names={}, matched_step=0).orders} == (
        set() if status in DONE else {row.id}
    )


def test_only_these_statuses_end_an_order() -> None:
    assert FINAL_STATUSES == DONE
