"""`manage.py screens --load`: a page on which two hundred rows change four times a second, and its thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from django.conf import settings
from django.utils import timezone

from alphapanda import deploying
from alphapanda.core.clock import to_ms
from alphapanda.deploying import Definition
from alphapanda.embedded import places
from alphapanda.proof import bench
from alphapanda.proof.browser import Person
from alphapanda.proof.screens import SETTLE_MS, Tell, logged_in
from alphapanda.push import readmodel

ROWS, EACH = 200, 10
PERIOD_S, SECONDS = 0.25, 30.0
LONG_MS = 50
FRAMES_LEAST = 59.5  # of sixty a second: as measured over half a minute, which begins and ends within a frame
WATCHED = """() => {
  const seen = { tasks: [], frames: 0, rows: 0, began: performance.now() };
  const kept = (list) => seen.tasks.push(...list.getEntries().map((task) => task.duration));
  new PerformanceObserver(kept).observe({ type: "longtask" });
  new MutationObserver((list) => { seen.rows += list.length; }).observe(
    document.querySelector('tbody[data-kind="marks"]'), { subtree: true, attributeFilter: ["data-price"] });
  const frame = () => { seen.frames += 1; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  window.seen = seen;
}"""
TOLD = """() => ({
  long_tasks: seen.tasks.length,
  longest_ms: Math.round(Math.max(0, ...seen.tasks)),
  frames_per_s: Math.round((seen.frames * 10_000) / (performance.now() - seen.began)) / 10,
  rows_per_s: Math.round((seen.rows * 1_000) / (performance.now() - seen.began)),
  seconds: Math.round((performance.now() - seen.began) / 1_000),
})"""


class Load(msgspec.Struct, frozen=True):
    """What the thread of a page did meanwhile: tasks of 50 ms or more, frames, rows that were drawn anew."""

    long_tasks: int
    longest_ms: int
    frames_per_s: float
    rows_per_s: int
    seconds: int
    busy_percent: int  # of one core, by the clock of the thread itself

    @property
    def is_good(self) -> bool:
        return self.long_tasks == 0 and self.rows_per_s > ROWS and self.frames_per_s >= FRAMES_LEAST


def run(tell: Tell) -> Load:
    """Raises StackFailed, NoBrowser."""
    with (
        tempfile.TemporaryDirectory(prefix="alphapanda-") as folder,
        _world(Path(folder)) as (person, tokens),
    ):
        person.open("/")
        person.page.wait_for_timeout(SETTLE_MS)
        _move(tokens, 0)  # every row has a price before they are counted
        person.page.wait_for_timeout(SETTLE_MS)
        tell(f"{ROWS} prices move four times a second for {SECONDS:.0f} s")
        person.page.evaluate(WATCHED)
        clock = _clock_of(person)
        before = clock()
        for step in range(1, round(SECONDS / PERIOD_S)):
            due = time.monotonic() + PERIOD_S
            _move(tokens, step)
            person.page.wait_for_timeout(max(0.0, due - time.monotonic()) * 1000)
        told = person.page.evaluate(TOLD)
        busy = round(100 * (clock() - before) / told["seconds"])
        return msgspec.convert(told | {"busy_percent": busy}, Load)


def _clock_of(person: Person) -> Callable[[], float]:
    """Seconds that the processor has worked for the page's thread, however many others it worked for meanwhile."""
    session = person.context.new_cdp_session(person.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def read() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    return read


@contextmanager
def _world(folder: Path) -> Iterator[tuple[Person, list[int]]]:
    """Somebody who looks at the overview of deployments on many instruments, and the tokens of those."""
    tokens = list(range(1, ROWS + 1))
    (folder / "deployments.json").write_text(deploying.to_json(_definitions()))
    environment = {
        "ALPHAPANDA_INSTRUMENTS": str(bench.instrument_list(folder / "instruments.csv")),
        "ALPHAPANDA_DEPLOYMENTS": str(folder / "deployments.json"),
        "ALPHAPANDA_SHARDS": "1",
        "ALPHAPANDA_TRADING_WORKERS": "1",
    }
    outer = settings.REDIS_URL
    with logged_in(environment, without=("beat", "feed", "stream", "research", "alerts")) as (
        browser,
        root,
        state,
        stack,
    ):
        settings.REDIS_URL = f"unix://{places.redis_socket(stack.run_dir)}"
        try:
            yield Person(browser, root, storage_state=state), tokens
        finally:
            settings.REDIS_URL = outer


def _definitions() -> list[Definition]:
    keys = [f"NSE:SYN{token:04}" for token in range(1, ROWS + 1)]
    return [
        Definition(name=f"Load {first}", strategy="ema_cross", instruments=tuple(keys[first : first + EACH]))
        for first in range(0, ROWS, EACH)
    ]


def _move(tokens: list[int], step: int) -> None:
    """Each price by a tick, up and down."""
    now_ms = to_ms(timezone.now())
    readmodel.marks_write({token: (1_000_0000 + token * 500 + step % 7 * 500, now_ms) for token in tokens})
    readmodel.stream_write(received_at_ms=now_ms, last_at_ms=now_ms, source="kite", ticks_per_s=800)
