"""What proofs deploy on recorded files where no file of definitions says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from alphapanda.deploying import Definition
from marketdata.feeds.files import recorded_file

# Each shipped strategy, a shorter one, and one with tight limits.
TEMPLATES = (
    ("Trend", "ema_cross", {"fast": 9, "slow": 21}, {}, {}),
    (
        "Reversion",
        "mean_reversion",
        {"length": 20, "enter_at": 1.5, "leave_at": 0.25},
        {"latency_ms": 250},
        {},
    ),
    ("Fast trend", "ema_cross", {"fast": 3, "slow": 8}, {"slippage_ticks": 2}, {"daily_orders": 20}),
)
QUANTITY = 100


def deployments_over(files: Sequence[str]) -> list[Definition]:
    """Three deployments over the instruments of the files, in turn, at least three in all."""
    keys = sorted({recorded_file(name).key for name in files})
    pairs = [(key, template) for template in TEMPLATES for key in keys]
    return [
        Definition(
            name=f"{title} on {key}",
            strategy=strategy,
            instruments=(key,),
            params={**params, "quantity": QUANTITY},
            execution=execution,
            limits=limits,
        )
        for key, (title, strategy, params, execution, limits) in pairs
    ]
