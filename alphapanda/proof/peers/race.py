"""Our engine and the peers at the same task, in turn, each in an environment and a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from alphapanda.proof.peers.work import Work
from alphapanda.stack import ROOT

QUANTITY, COST, CASH = 10, "0.0003", 1_000_000
LENGTHS = {"bars": (10, 30), "ticks": (60, 240)}  # of the averages: about 15,000 orders, and 5,400
# By what share of the reference the money at the end may differ.
APART_MAX = 0.0002
# From next to no order to as many as the task can make of 375,000 bars: lengths of the averages.
TENTHS, SHORT_S = 10, 0.05
BUSIER = ((1_000, 5_000), (80, 240), (10, 30), (2, 4))


class Peer(msgspec.Struct, frozen=True):
    """An engine: the script that drives it, what its environment needs, and whether it calls back at every row."""

    name: str
    module: str
    requirements: tuple[str, ...] = ()
    is_event_driven: bool = True


OURS = Peer("Alpha Panda", "alphapanda.proof.peers.with_alphapanda")
# Versions that are known to work with each other; not the newest of each.
PEERS = (
    Peer(
        "NautilusTrader",
        "alphapanda.proof.peers.with_nautilus",
        ("nautilus_trader==1.221.0", "pandas==2.3.3"),
    ),
    Peer(
        "backtesting.py",
        "alphapanda.proof.peers.with_backtesting",
        ("backtesting==0.6.6", "pandas==2.3.3", "numpy==2.3.5", "bokeh==3.8.1"),
    ),
    Peer(
        "backtrader",
        "alphapanda.proof.peers.with_backtrader",
        ("backtrader==1.9.78.123", "pandas==2.3.3", "numpy==2.3.5"),
    ),
    Peer(
        "vectorbt",
        "alphapanda.proof.peers.with_vectorbt",
        ("vectorbt==1.0.0", "plotly==5.24.1", "pandas==2.3.3"),
        is_event_driven=False,
    ),
)
# What the scripts of the peers share; it runs in their environments, so none of ours imports it.
SHARED = "alphapanda.proof.peers.task"


class RaceFailed(Exception):
    """A peer could not be installed, or did not answer."""


class Answer(msgspec.Struct, frozen=True):
    """What one run came to; `seconds` by the wall and `cpu_s` of the processor are of the run alone, `memory_mb` of
    our whole process at its peak."""

    seconds: float
    cpu_s: float
    orders: int
    equity: float
    items: int
    version: str
    memory_mb: int = 0
    parts: tuple[float, ...] = ()  # of the processor, up to each tenth of the stream


class Standing(msgspec.Struct, frozen=True):
    """A peer after all runs of one kind: medians, and how far its money is from ours."""

    peer: str
    kind: str
    version: str
    is_event_driven: bool
    items: int
    orders: int
    equity: float
    apart_percent: float
    runs_s: tuple[float, ...]  # by the wall
    runs_cpu_s: tuple[float, ...]

    @property
    def items_per_s(self) -> float:
        return self.items / statistics.median(self.runs_s)

    @property
    def items_per_cpu_s(self) -> float:
        """What a machine of its own would do: the wall's time is also that of others on this one."""
        return self.items / statistics.median(self.runs_cpu_s)

    @property
    def agrees(self) -> bool:
        return abs(self.apart_percent) <= 100 * APART_MAX


def prepare(folder: Path, peers: Iterable[Peer], tell: Callable[[str], None]) -> None:
    """An environment for each peer, made where there is none with these versions. Raises RaceFailed."""
    for peer in peers:
        place, wanted = _environment(folder, peer), "\n".join(peer.requirements)
        marker = place / "requirements.txt"
        if not peer.requirements or (marker.exists() and marker.read_text() == wanted):
            continue
        tell(f"{peer.name}: installing {', '.join(peer.requirements)}")
        venv.create(place, clear=True, with_pip=True)
        command = [_python(folder, peer), "-m", "pip", "install", "--quiet", *peer.requirements]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RaceFailed(f"{peer.name} could not be installed: {done.stderr[-500:]}")
        marker.write_text(wanted)


def _environment(folder: Path, peer: Peer) -> Path:
    return folder / peer.module.rpartition("_")[2]


def _python(folder: Path, peer: Peer) -> str:
    return str(_environment(folder, peer) / "bin" / "python") if peer.requirements else sys.executable


def run(folder: Path, peer: Peer, work: Work, kind: str, lengths: tuple[int, int]) -> Answer:
    """One run in a process of its own. Raises RaceFailed."""
    script = ROOT / (peer.module.replace(".", "/") + ".py")
    file = work.bars if kind == "bars" else work.ticks
    task = [str(file), kind, *map(str, lengths), str(QUANTITY), COST, str(CASH)]
    done = subprocess.run(
        [_python(folder, peer), str(script), *task], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RaceFailed(f"{peer.name} ended with {done.returncode} at the {kind}: {done.stderr[-1_500:]}")
    return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), Answer, strict=False)


def race(
    folder: Path, peers: Sequence[Peer], work: Work, kind: str, runs: int, tell: Callable[[str], None]
) -> list[Standing]:
    """Every peer after every other, so many times over; ours comes first. Raises RaceFailed."""
    answers: dict[str, list[Answer]] = {peer.name: [] for peer in (OURS, *peers)}
    for number in range(runs):
        for peer in (OURS, *peers):
            tell(f"{kind}, run {number + 1} of {runs}: {peer.name}")
            answers[peer.name].append(run(folder, peer, work, kind, LENGTHS[kind]))
    ours = answers[OURS.name][0]
    return [_standing(peer, kind, answers[peer.name], ours.equity) for peer in (OURS, *peers)]


def _standing(peer: Peer, kind: str, answers: list[Answer], reference: float) -> Standing:
    first = answers[0]
    return Standing(
        peer=peer.name,
        kind=kind,
        version=first.version,
        is_event_driven=peer.is_event_driven,
        items=first.items,
        orders=first.orders,
        equity=first.equity,
        apart_percent=100 * (first.equity / reference - 1),
        runs_s=tuple(answer.seconds for answer in answers),
        runs_cpu_s=tuple(answer.cpu_s for answer in answers),
    )


class Load(msgspec.Struct, frozen=True):
    """Our own engine at so many orders, in seconds of the processor: medians, what an order adds to a run next to
    without any, and how much slower the last two tenths of the bars are than the second and third."""

    orders: int
    cpu_s: float
    items_per_cpu_s: float
    order_us: float | None
    slower_percent: float | None  # None: too few bars to tell


def loads(folder: Path, work: Work, runs: int, tell: Callable[[str], None]) -> list[Load]:
    """The bars with more and more orders. Raises RaceFailed."""
    answers: list[list[Answer]] = [[] for _ in BUSIER]
    for number in range(runs):
        for place, lengths in enumerate(BUSIER):
            tell(f"orders, run {number + 1} of {runs}: averages of {lengths[0]} and {lengths[1]}")
            answers[place].append(run(folder, OURS, work, "bars", lengths))
    idle_s = statistics.median(answer.cpu_s for answer in answers[0])
    return [_load(found, idle_s, answers[0][0].orders) for found in answers]


def _load(answers: list[Answer], idle_s: float, idle_orders: int) -> Load:
    first, cpu_s = answers[0], statistics.median(answer.cpu_s for answer in answers)
    more = first.orders - idle_orders
    return Load(
        orders=first.orders,
        cpu_s=cpu_s,
        items_per_cpu_s=first.items / cpu_s,
        order_us=1e6 * (cpu_s - idle_s) / more if more else None,
        slower_percent=_slower_percent([answer.parts for answer in answers]),
    )


def _slower_percent(runs: Sequence[tuple[float, ...]]) -> float | None:
    """What the last two tenths took more than the second and third; the first has what is done once."""
    if any(len(parts) < TENTHS or parts[2] - parts[0] < SHORT_S for parts in runs):
        return None
    return statistics.median(100 * ((parts[9] - parts[7]) / (parts[2] - parts[0]) - 1) for parts in runs)


class Memory(msgspec.Struct, frozen=True):
    """Our process at its peak over a part and over all of the ticks."""

    ticks: int
    memory_mb: int


def memory(folder: Path, works: Sequence[Work], tell: Callable[[str], None]) -> list[Memory]:
    """The same stream shorter and longer, with next to no orders. Raises RaceFailed."""
    found = []
    for work in works:
        tell(f"memory: {work.ticks.name}")
        answer = run(folder, OURS, work, "ticks", BUSIER[0])
        found.append(Memory(answer.items, answer.memory_mb))
    return found
