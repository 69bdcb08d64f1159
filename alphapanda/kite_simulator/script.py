"""What happens to the simulator from outside: by HTTP, or by a script with a seed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from alphapanda import logs
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.simulator import Simulator

log = logs.channel("application")
EXAMPLE = '{"after_ms": 60000, "skew_ms": 90000}'


class BadScript(ValueError):
    """A script that cannot be read; the text says what is accepted."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done `after_ms` after the start: faults armed or cleared, an order of another app placed (`place`, the
    fields of a request) or ended (`cancel`, its id), the session ended, a message sent to all who listen, the stated
    clock put so far from the true one, a switch put on or off."""

    after_ms: int = 0
    arm: list[Fault] = []
    clear: bool = False
    place: dict[str, Any] = {}
    cancel: str = ""
    end_session: bool = False
    message: str = ""
    skew_ms: int | None = None
    static_ip_refused: bool | None = None
    slices_are_flat: bool | None = None
    limits_as_200: bool | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Steps, and the seed from which their faults draw."""

    steps: list[Step]
    seed: int = 0


def read_script(path: Path) -> Script:
    """Raises BadScript, OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadScript(f"{path}: {error}; kinds of faults are {', '.join(Kind)}") from None


def step_from(text: str) -> Step:
    """Raises BadScript."""
    try:
        return msgspec.json.decode(text, type=Step)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadScript(f"{text}: {error}; a step is JSON, such as {EXAMPLE}") from None


def follow(simulator: Simulator, script: Script) -> None:
    """Do the steps of a script when they are due."""
    simulator.faults.reseed(script.seed)
    enter(simulator, script.steps)


def enter(simulator: Simulator, steps: Iterable[Step]) -> None:
    """Do steps when they are due, by the seed that is there."""
    now_ms = simulator.clock.now_ms()
    for step in steps:
        simulator.schedule.at(now_ms + step.after_ms, lambda _, step=step: _do_quietly(simulator, step))


def _do_quietly(simulator: Simulator, step: Step) -> None:
    try:
        do(simulator, step)
    except KiteError as error:  # an order of another app may be refused like any
        log.warning("application.kite_simulator.refused", reason=str(error), order=step.place or step.cancel)


def do(simulator: Simulator, step: Step) -> dict[str, Any]:
    """Do a step now; what came of it. Raises KiteError where its order is refused."""
    if step.clear:
        simulator.faults.clear()
    simulator.faults.arm(msgspec.convert(msgspec.to_builtins(step.arm), list[Fault]))  # each step its own
    if step.end_session:
        simulator.sessions.end()
    if step.message:
        simulator.ticker.say(step.message)
    if step.skew_ms is not None:
        simulator.clock.skew_ms = step.skew_ms
    _switch(simulator, step)
    if step.cancel:
        simulator.book.cancellation(step.cancel, at_ms=simulator.clock.now_ms())()
    return _place(simulator, step.place) if step.place else {}


def _switch(simulator: Simulator, step: Step) -> None:
    if step.static_ip_refused is not None:
        simulator.switches.static_ip_refused = step.static_ip_refused
    if step.slices_are_flat is not None:
        simulator.switches.slices_are_flat = step.slices_are_flat
    if step.limits_as_200 is not None:
        simulator.limits.as_200 = step.limits_as_200


def _place(simulator: Simulator, order: dict[str, Any]) -> dict[str, Any]:
    fields = {name: str(value) for name, value in order.items() if value is not None}
    wanted = parsing.wanted(fields.pop("variety", "regular"), fields, simulator.listing.by_key)
    placed: dict[str, Any] = simulator.place(wanted, is_ours=False)
    return placed
