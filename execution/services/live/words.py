"""What is said to the broker of an order, and of a change of one."""

from __future__ import annotations

import msgspec

from execution.domain.acts import OF_ALL_LEGS
from execution.domain.kite import wire
from execution.domain.kite.orders import LiveOrder
from execution.domain.orders import Terms
from execution.domain.settings import LiveSettings
from execution.models import BrokerCall
from marketdata.domain.instruments import InstrumentSpec


def placing(live: LiveOrder, spec: InstrumentSpec, row: BrokerCall) -> dict[str, str]:
    """The form of an order. Raises wire.CannotBeSaid."""
    settings = LiveSettings.of(row.order.order.deployment.execution)
    return wire.place(
        wire.Placement(
            instrument=spec,
            side=live.side,
            product=live.product,
            variety=live.variety,
            terms=live.terms,
            tag=row.tag or "",
            iceberg_legs=row.order.order.iceberg_legs,
            protection=settings.market_protection,
            algo_id=settings.algo_id,
        )
    )


def changing(live: LiveOrder, spec: InstrumentSpec, row: BrokerCall) -> dict[str, str]:
    """The form of a change. Raises wire.CannotBeSaid, also where it would make the order smaller than what traded."""
    terms, traded = wanted(row), live.worst_filled
    if terms.quantity <= traded:
        raise wire.CannotBeSaid(f"{traded} units had traded when the change was to leave")
    if live.is_iceberg and terms.quantity != live.quantity:  # it would be that of a leg
        raise wire.CannotBeSaid(OF_ALL_LEGS)
    settings = LiveSettings.of(row.order.order.deployment.execution)
    return wire.modify(live.now, terms, spec, protection=settings.market_protection)


def wanted(row: BrokerCall) -> Terms:
    """What a change makes of its order, as it was decided: what has traded since is part of it."""
    return msgspec.convert(row.terms, Terms)
