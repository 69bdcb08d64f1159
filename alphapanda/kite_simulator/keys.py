"""Where the application keeps its parts."""

from __future__ import annotations

from aiohttp import web

from alphapanda.kite_simulator.simulator import Simulator

SIMULATOR = web.AppKey("simulator", Simulator)
