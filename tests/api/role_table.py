"""Every route, what it answers to whom. A route that is missing here fails the build."""

from __future__ import annotations

from dataclasses import dataclass, field

ANY, VIEWER, OPERATOR = "anybody", "viewer", "operator"


@dataclass(frozen=True, slots=True)
class Route:
    """Methods of a route with the least role that each asks for."""

    methods: dict[str, str] = field(default_factory=lambda: {"get": VIEWER})


READ = Route()
ACT = Route({"post": OPERATOR})
OPEN = Route({"post": ANY})

ROUTES: dict[str, Route] = {
    "api/v1/token/": OPEN,
    "api/v1/token/refresh/": OPEN,
    "api/v1/token/revoke/": OPEN,
    "api/v1/broker-accounts/": READ,
    "api/v1/strategies/": READ,
    "api/v1/strategies/files/": READ,
    "api/v1/deployments/": Route({"get": VIEWER, "post": OPERATOR}),
    "api/v1/deployments/<uuid:pk>/": READ,
    "api/v1/deployments/<uuid:pk>/start/": ACT,
    "api/v1/deployments/<uuid:pk>/pause/": ACT,
    "api/v1/deployments/<uuid:pk>/flatten/": ACT,
    "api/v1/deployments/<uuid:pk>/stop/": ACT,
    "api/v1/deployments/<uuid:pk>/release/": ACT,
    "api/v1/deployments/<uuid:pk>/upgrade/": ACT,
    "api/v1/deployments/<uuid:pk>/approval-mode/": ACT,
    "api/v1/deployments/<uuid:pk>/shadow/": ACT,
    "api/v1/deployments/<uuid:pk>/shadow-difference/": READ,
    "api/v1/backtests/": Route({"get": VIEWER, "post": OPERATOR}),
    "api/v1/backtests/compare/": READ,
    "api/v1/backtests/files/": READ,
    "api/v1/backtests/<uuid:pk>/": READ,
    "api/v1/backtests/<uuid:pk>/cancel/": ACT,
    "api/v1/backtests/<uuid:pk>/again/": ACT,
    "api/v1/signals/": READ,
    "api/v1/decisions/": READ,
    "api/v1/approvals/": READ,
    "api/v1/approvals/<uuid:pk>/": READ,
    "api/v1/approvals/approve/": ACT,
    "api/v1/approvals/deny/": ACT,
    "api/v1/halts/": Route({"get": VIEWER, "post": OPERATOR}),
    "api/v1/halts/<int:pk>/release/": ACT,
    "api/v1/alerts/": READ,
    "api/v1/alerts/<int:pk>/acknowledge/": ACT,
    "api/v1/limits/headroom/": READ,
    "api/v1/limits/preview/": ACT,
    "api/v1/orders/": READ,
    "api/v1/orders/<uuid:pk>/": READ,
    "api/v1/order-events/": READ,
    "api/v1/fills/": READ,
    "api/v1/live/": READ,
    "api/v1/live/calls/": READ,
    "api/v1/live/clearance/": READ,
    "api/v1/live/terms/": ACT,
    "api/v1/live/unlock/": ACT,
    "api/v1/live/readiness/": ACT,
    "api/v1/live/external-orders/": READ,
    "api/v1/live/gtts/": Route({"get": VIEWER, "post": OPERATOR}),
    "api/v1/live/gtts/<uuid:pk>/modify/": ACT,
    "api/v1/live/gtts/<uuid:pk>/delete/": ACT,
    "api/v1/live/differences/": READ,
    "api/v1/live/differences/<int:pk>/settle/": ACT,
    "api/v1/live/differences/<int:pk>/accept/": ACT,
    "api/v1/positions/": READ,
    "api/v1/portfolios/": READ,
    "api/v1/portfolios/<uuid:pk>/": READ,
    "api/v1/portfolios/<uuid:pk>/statement/": READ,
    "api/v1/statement/": READ,
    "api/v1/ledger/": READ,
    "api/v1/journal/": READ,
    "api/v1/journal/<uuid:pk>/": READ,
    "api/v1/journal/<uuid:pk>/note/": ACT,
    "api/v1/journal/<uuid:pk>/pictures/": ACT,
    "api/v1/journal/pictures/<uuid:pk>/": READ,
    "api/v1/journal/pictures/<uuid:pk>/remove/": ACT,
    "api/v1/instruments/": READ,
    "api/v1/bars/": READ,
    "api/v1/tick-faults/": READ,
    "api/v1/dead-letters/": READ,
    "api/v1/dead-letters/<int:pk>/": READ,
    "api/v1/health/": READ,
    "api/v1/schema/": READ,
    "api/v1/docs/": READ,
    "api/v1/": READ,  # the catch-all of unknown addresses
}
# pages for people and a door for Kite, with their own tests
PAGES = {
    "",
    "favicon.ico",
    "login/",
    "logout/",
    "positions/",
    "orders/",
    "orders/<uuid:order_id>/",
    "fills/",
    "approvals/",
    "reconciliation/",
    "performance/",
    "journal/",
    "journal/<uuid:trade_id>/",
    "journal/pictures/<uuid:picture_id>/",
    "backtests/",
    "backtests/compare/",
    "backtests/<uuid:run_id>/",
    "strategies/",
    "strategies/<uuid:deployment_id>/",
    "risk/",
    "alerts/",
    "chart/",
    "chart/<str:name>/",
    "chart/<str:name>/bars",
    "signals/",
    "signals/<uuid:signal_id>/",
    "broker/",
    "broker/login/",
    "broker/callback/",
    "broker/logout/",
    "kite/postback/",
    "health/",
    "health/^live/?$",
    "health/^ready/?$",
}
