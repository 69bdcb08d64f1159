"""Addresses of the dashboard."""

from django.urls import path

from alphapanda.dashboard import (
    backtests,
    broker,
    chart,
    control,
    health,
    performance,
    strategies,
    trading,
    views,
    waiting,
    why,
)

urlpatterns = [
    path("", views.overview, name="overview"),
    path("positions/", trading.positions, name="positions"),
    path("orders/", trading.orders, name="orders"),
    path("orders/<uuid:order_id>/", why.of_order, name="order"),
    path("signals/<uuid:signal_id>/", why.of_signal, name="signal"),
    path("chart/", chart.first, name="chart-first"),
    path("chart/<str:name>/", chart.page, name="chart"),
    path("chart/<str:name>/bars", chart.data, name="chart-data"),
    path("chart/<str:name>/indicators", chart.indicators, name="chart-indicators"),
    path("risk/", control.risk, name="risk"),
    path("alerts/", control.alerts, name="alerts"),
    path("strategies/", strategies.page, name="strategies"),
    path("strategies/<uuid:deployment_id>/", strategies.detail, name="strategy"),
    path("backtests/", backtests.page, name="backtests"),
    path("backtests/compare/", backtests.compare, name="backtests-compare"),
    path("backtests/<uuid:run_id>/", backtests.detail, name="backtest"),
    path("performance/", performance.page, name="performance"),
    path("approvals/", waiting.approvals, name="approvals"),
    path("reconciliation/", waiting.reconciliation, name="reconciliation"),
    path("fills/", trading.fills, name="fills"),
    path("fills/<uuid:fill_id>/", why.of_fill, name="fill"),
    path("signals/", trading.signals, name="signals"),
    path("broker/", broker.page, name="broker"),
    path("broker/login/", broker.login, name="broker-login"),
    path("broker/callback/", broker.callback, name="broker-callback"),
    path("broker/logout/", broker.logout, name="broker-logout"),
    path("health/", health.page, name="health"),
]
