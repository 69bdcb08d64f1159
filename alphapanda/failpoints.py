"""Named places where a test may make a process die; nothing happens at them in ordinary operation."""

from __future__ import annotations

NAMES: frozenset[str] = frozenset(
    {
        "relay.before_publish",
        "relay.after_publish",
        "relay.after_ack",
        "relay.before_mark",
        "relay.after_mark",
    }
)


def hit(name: str) -> None:
    """Pass a failpoint. Raises KeyError for a name that is not registered."""
    if name not in NAMES:
        raise KeyError(name)
