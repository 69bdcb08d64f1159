"""The shapes of answers: sessions, the user and funds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from alphapanda.core.money import ZERO
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.sessions import Account, Session
from alphapanda.kite_simulator.wire import number

EXCHANGES = ("NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF")
PRODUCTS = ("CNC", "NRML", "MIS", "BO", "CO")
ORDER_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")


class Funds(NamedTuple):
    """Rupees of one segment: what was there in the morning, what orders and positions block, what trading made."""

    opening: Decimal = ZERO
    premium: Decimal = ZERO
    span: Decimal = ZERO
    delivery: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def debits(self) -> Decimal:
        return self.premium + self.span + self.delivery - self.realised

    @property
    def net(self) -> Decimal:
        return self.opening - self.debits


def _user(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        "user_type": "individual",
        "email": f"{account.user_id.lower()}@example.com",
        "user_name": f"Simulated {account.user_id}",
        "user_shortname": account.user_id,
        "broker": "ZERODHA",
        "exchanges": EXCHANGES,
        "products": PRODUCTS,
        "order_types": ORDER_TYPES,
        "avatar_url": None,
        "meta": {"demat_consent": "physical"},
    }


def profile(account: Account) -> dict[str, Any]:
    return _user(account)


def session(account: Account, one: Session, clock: SimClock) -> dict[str, Any]:
    return _user(account) | {
        "api_key": account.api_key,
        "access_token": one.access_token,
        "public_token": one.public_token,
        "enctoken": one.enctoken,
        "refresh_token": "",
        "silo": "",
        "login_time": clock.text(one.login_ms),
        "avatar_url": "",
    }


def funds(one: Funds) -> dict[str, Any]:
    opening, net = number(one.opening), number(one.net)
    return {
        "enabled": True,
        "net": net,
        "available": {
            "adhoc_margin": 0,
            "cash": opening,
            "opening_balance": opening,
            "live_balance": net,
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": number(one.debits),
            "exposure": 0,
            "m2m_realised": number(one.realised),
            "m2m_unrealised": 0,
            "option_premium": number(one.premium),
            "payout": 0,
            "span": number(one.span),
            "holding_sales": 0,
            "turnover": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
            "delivery": number(one.delivery),
        },
    }
