"""The shape of a backtest's object, as docs/backtest.md describes it."""

from __future__ import annotations

from typing import Any

# The shape of the object: names and types, lists by their items. It may grow; what is here may not change
# without a new `format`.
FIGURES = {
    "trades": "int",
    "winners": "int",
    "losers": "int",
    "profit_factor": "float",
    "best": "str",
    "worst": "str",
    "win_rate_percent": "float",
    "total_profit": "str",
    "total_loss": "str",
    "expectancy": "str",
    "average_win": "str",
    "average_loss": "str",
    "average_minutes": "float",
    "longest_wins": "int",
    "longest_losses": "int",
    "trade_deviation": "float",
    "trade_sharpe": "float",
    "closed_drawdown": "str",
    "gross_pnl": "str",
    "charges": "str",
    "net_pnl": "str",
    "cost_share_percent": "NoneType",
    "max_drawdown": "str",
    "max_drawdown_percent": "float",
    "sharpe": "float",
    "sortino": "float",
    "calmar": "float",
    "annual_return_percent": "float",
    "annual_volatility_percent": "float",
    "downside_risk_percent": "float",
    "value_at_risk_percent": "float",
    "tail_ratio": "float",
    "exposure_percent": "float",
}
LIMITS = {"daily_loss": "str", "orders_per_minute": "int"}  # those that are set
LINES = dict.fromkeys(("brokerage", "exchange", "gst", "sebi", "stamp", "stt"), "str")
ORDER = {"deployment": "str", "time": "str", "instrument": "str", "side": "str", "quantity": "int"}
SHAPE: dict[str, Any] = {
    "format": "int",
    "meta": {
        "product_version": "str",
        "engine_sha256": "str",
        "starting_cash": "str",
        "costs": {"model": "str", "amount": "str"},
        "first_day": "NoneType",
        "last_day": "NoneType",
        "instruments": ["str"],
        "files": [
            {
                "path": "str",
                "instrument": "str",
                "sha256": "str",
                "minutes": "int",
                "rows": "int",
                "unreadable_rows": "int",
            }
        ],
        "warm_up": [],
        "lists": [],
        "rules": [],
        "starts": "str",
        "ends": "str",
        "items": "int",
    },
    "deployments": [
        {
            "name": "str",
            "strategy": "str",
            "version": "str",
            "source_sha256": "str",
            "params": {
                "fast": "int",
                "slow": "int",
                "quantity": "int",
                "bar_minutes": "int",
                "short": "bool",
            },
            "product": "str",
            "execution": {
                "latency_ms": "int",
                "slippage_ticks": "int",
                "approval_s": "int",
                "liquidity": "str",
                "may_queue": "bool",
                "square_off": "bool",
                "market_protection": "NoneType",
                "queue": "str",
                "stale_after_ms": "int",
                "circuit_percent": "NoneType",
                "capital": "NoneType",
                "latency": "str",
                "latency_spread_ms": "int",
                "slippage": "str",
                "slippage_bps": "str",
                "rejection": "str",
                "rejection_percent": "str",
            },
            "limits": LIMITS,
            "instruments": ["str"],
            "statistics": FIGURES,
            "tick_faults": {"OUT_OF_SESSION": "int"},
            "error": "NoneType",
        }
    ],
    "statistics": FIGURES,
    "costs": {
        "charges": "str",
        "by_line": LINES,
        "turnover": "str",
        "bps_of_turnover": "float",
        "share_of_profit_percent": "NoneType",
    },
    "monthly": [{"month": "str", "net_pnl": "str", "return_percent": "float"}],
    "drawdowns": [
        {
            "since": "str",
            "deepest": "str",
            "until": "NoneType",
            "depth": "str",
            "depth_percent": "float",
        }
    ],
    "findings": [
        {
            "code": "str",
            "weight": "str",
            "deployment": "NoneType",
            "text": "str",
            "numbers": "numbers of the code",
        }
    ],
    "checks": {"look_ahead_cuts": ["int"], "warm_up_skipped": "int", "warm_up_until": "int"},
    "trades": [
        {
            "deployment": "str",
            "instrument": "str",
            "direction": "str",
            "quantity": "int",
            "entered_at": "str",
            "entry_price": "str",
            "exited_at": "str",
            "exit_price": "str",
            "gross": "str",
            "charges": "str",
            "net": "str",
        }
    ],
    "fills": [ORDER | {"price": "str", "charges": LINES}],
    "denied": [ORDER | {"rule": "str", "reason": "str"}],
    "unfilled": [ORDER | {"filled": "int", "status": "str", "reason": "str"}],
    "equity": [{"time": "str", "equity": "str", "exposure": "str"}],
    "timing": {"seconds": "float", "items_per_s": "int"},
}
