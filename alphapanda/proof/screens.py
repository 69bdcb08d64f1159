"""`manage.py screens`: a recorded session played by a stack of its own, and every page of the cockpit looked at in
Chromium, in both themes and on a phone: pictures, weights, and what a page must not do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import User
from alphapanda import deploying
from alphapanda.proof.browser import DESK, PHONE, THEMES, Person, Weight, chromium
from alphapanda.proof.kite_process import free_port
from alphapanda.proof.pages import ON_A_PHONE, PAGES, address_of
from alphapanda.proof.private import private_stack
from alphapanda.research import stored
from alphapanda.research.plan import Plan
from alphapanda.web.roles import Role
from execution.models import Fill
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun

NAME = "watcher"
FILLS_MIN, PATIENCE_S = 6, 240
SETTLE_MS = 1_200
BYTES_MAX, CONTENT_MS_MAX = 350_000, 1_000
Tell = Callable[[str], None]


class Shot(msgspec.Struct, frozen=True):
    """A page as it was seen."""

    page: str
    theme: str
    size: str
    file: str
    weight: Weight


class Result(msgspec.Struct):
    """What was seen, and what should not have been."""

    shots: list[Shot] = []
    faults: list[str] = []

    @property
    def is_good(self) -> bool:
        return bool(self.shots) and not self.faults


@contextmanager
def logged_in(
    environment: dict[str, str], *, without: Sequence[str] = ()
) -> Iterator[tuple[Any, str, Any, Any]]:
    """A stack with a web process and an operator who is logged in: the browser, the address, the state of that
    login for other windows, the stack. Raises StackFailed, NoBrowser."""
    port, password = free_port(), secrets.token_urlsafe(16)
    with (
        chromium() as browser,
        private_stack({"ALPHAPANDA_PORT": str(port)} | environment, without=without) as stack,
    ):
        user = User.objects.create_user(NAME, password=password, is_staff=True)
        user.groups.add(*Group.objects.filter(name__in=list(Role)))
        root = f"http://127.0.0.1:{port}"
        person = Person(browser, root)
        person.log_in(NAME, password)
        state = person.context.storage_state()
        person.close()
        yield browser, root, state, stack


def run(folder: Path, tell: Tell) -> Result:
    """Pictures of every page in a folder. Raises StackFailed, NoBrowser."""
    folder.mkdir(parents=True, exist_ok=True)
    result = Result()
    with logged_in({}) as (browser, root, state, stack):
        tell("playing the recorded session")
        _ask_for_backtests()
        stack.wait(_is_played, timeout_s=PATIENCE_S, what=f"{FILLS_MIN} fills and two backtests")
        for name, path in {name: address_of(name) for name in PAGES}.items():
            tell(f"looking at {name}")
            if not path:
                result.faults.append(f"{name}: the session has none")
                continue
            for theme, size in _views(name):
                person = Person(browser, root, size=size, storage_state=state, color_scheme=theme)
                result.shots.append(_shot(person, folder, name, path, theme))
                result.faults += person.faults
                person.close()
            result.faults += _too_slow(name, result.shots)
    return result


def _views(name: str) -> list[tuple[str, dict[str, int]]]:
    return [(theme, DESK) for theme in THEMES] + ([(THEMES[0], PHONE)] if name in ON_A_PHONE else [])


def _shot(person: Person, folder: Path, name: str, path: str, theme: str) -> Shot:
    size = "phone" if person.page.viewport_size == PHONE else "desk"
    person.open(path)
    person.wear(theme)
    person.page.wait_for_timeout(SETTLE_MS)
    shot = Shot(name, theme, size, f"{name}-{theme}-{size}.png", person.weigh())
    person.page.screenshot(path=str(folder / shot.file))
    person.faults += [f"{name} ({theme}, {size}): {fault}" for fault in _faults(person, shot.weight)]
    return shot


def _faults(person: Person, weight: Weight) -> Iterator[str]:
    if person.page.locator("h1").count() != 1:
        yield "it has not one headline"
    if person.is_wider_than_the_window():
        yield "it scrolls sideways"
    if weight.bytes > BYTES_MAX:
        yield f"{weight.bytes:,} bytes for the first look, more than {BYTES_MAX:,}"


def _too_slow(name: str, shots: list[Shot]) -> list[str]:
    """The quickest look at a page counts: meanwhile a session is played."""
    took = min(shot.weight.content_ms for shot in shots if shot.page == name)
    return (
        [f"{name}: {took:,} ms to its content, more than {CONTENT_MS_MAX:,}"] if took > CONTENT_MS_MAX else []
    )


def _ask_for_backtests() -> None:
    """Two of the deployments that ship, so that there is something to compare."""
    for name, cash in {"Ten lakh": 10_00_000, "Five lakh": 5_00_000}.items():
        plan = Plan(
            files=(str(YESBANK_FILES[0]),),
            definitions=tuple(deploying.read(deploying.SEEDS)[:1]),
            cash=Decimal(cash),
        )
        stored.backtest_create(plan, name=name, actor=NAME, reason="pictures", now=timezone.now())


def _is_played() -> bool:
    time.sleep(0.5)
    done = BacktestRun.objects.filter(state=BacktestRun.State.DONE).count()
    return done > 1 and Fill.objects.count() >= FILLS_MIN
