"""The strategies that there are: every subclass in a module of `strategies.domain.library`."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
from functools import cache

from strategies.domain import library
from strategies.domain.base import Strategy, UnknownStrategy


@cache
def known() -> dict[str, type[Strategy]]:
    """All strategies by name."""
    found: dict[str, type[Strategy]] = {}
    for module in pkgutil.iter_modules(library.__path__, f"{library.__name__}."):
        for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(member, Strategy) and member.name:
                found[member.name] = member
    return found


def find(name: str) -> type[Strategy]:
    """The class of a strategy. Raises UnknownStrategy, naming those that there are."""
    try:
        return known()[name]
    except KeyError:
        there_are = ", ".join(sorted(known()))
        raise UnknownStrategy(f"no strategy is called {name!r}; there are: {there_are}") from None


def source_hash(strategy: type[Strategy]) -> str:
    """SHA-256 of the module that defines a strategy."""
    return hashlib.sha256(inspect.getsource(inspect.getmodule(strategy) or strategy).encode()).hexdigest()
