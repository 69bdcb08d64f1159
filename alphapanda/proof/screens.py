"""`manage.py screens`: a recorded session played by a stack of its own, every page of the cockpit opened in Chromium,
in its themes and sizes; and what a page must not do: an error in the console, a broken policy, another host."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from accounts.models import User
from alphapanda.dashboard.rail import RAIL
from alphapanda.proof.kite_process import free_port
from alphapanda.proof.private import private_stack
from alphapanda.stack import Stack, StackFailed
from alphapanda.web.roles import Role
from execution.models import Fill, Order

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
ON_A_PHONE = ("overview", "positions", "risk")
THEMES = ("dark", "light")
FILLS_MIN, FILLS_S = 6, 240
SETTLE_MS = 1_500
NOT_OURS = ("admin", "api")  # pages of Unfold and Swagger
NAME = "watcher"


class Shot(msgspec.Struct, frozen=True):
    """A page as it was seen."""

    page: str
    theme: str
    size: str
    file: str


class Result(msgspec.Struct):
    """What was seen, and what should not have been."""

    shots: list[Shot] = []
    faults: list[str] = []

    @property
    def is_good(self) -> bool:
        return bool(self.shots) and not self.faults


class NoBrowser(StackFailed):
    """There is no Chromium on this machine, or nothing to drive it with."""


def why_not() -> str:
    """Why no browser can be driven here; nothing where one can."""
    try:
        import playwright.sync_api  # noqa: F401 (a tool of the tests alone)
    except ImportError:
        return "playwright is not installed: it is among the requirements of development"
    if not any(map(shutil.which, BROWSERS)):
        return f"none of {', '.join(BROWSERS)} is installed (apt-get install chromium)"
    return ""


class Person:
    """Somebody at a browser who is logged in, and what the browser complained of."""

    def __init__(self, page: Any, root: str) -> None:
        self.page, self.root = page, root
        self.faults: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._note(f"error: {error}"))
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._note(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in ("data", "blob") and asked.netloc != urlsplit(self.root).netloc:
            self._note(f"request to another host: {request.url}")

    def _note(self, words: str) -> None:
        self.faults.append(f"{urlsplit(self.page.url).path}: {words}")

    def open(self, path: str) -> None:
        self.page.goto(self.root + path)

    def log_in(self, name: str, password: str) -> None:
        self.open("/login/")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("#page")


@contextmanager
def browsing(root: str, *, size: dict[str, int] = WIDE, theme: str = "dark") -> Iterator[Person]:
    """A browser of its own. Raises NoBrowser."""
    if problem := why_not():
        raise NoBrowser(problem)
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport=size, color_scheme=theme)
        yield Person(page, root)
        browser.close()


@contextmanager
def played(tell: Callable[[str], None]) -> Iterator[tuple[str, str, Stack]]:
    """A stack that plays the recorded session which ships, once some orders have traded: its address and the
    password of an operator named `watcher`. Raises StackFailed."""
    port, password = free_port(), secrets.token_urlsafe(16)
    with private_stack({"ALPHAPANDA_PORT": str(port)}, without=("beat",)) as stack:
        tell("playing a recorded session")
        _person(password)
        _traded()
        yield f"http://127.0.0.1:{port}", password, stack


def _person(password: str) -> None:
    from django.contrib.auth.models import Group

    user = User.objects.create_user(NAME, password=password, is_staff=True)
    user.groups.add(*Group.objects.filter(name__in=[Role.OPERATOR, Role.VIEWER]))


def _traded() -> None:
    deadline = time.monotonic() + FILLS_S
    while Fill.objects.count() < FILLS_MIN:
        if time.monotonic() > deadline:
            raise StackFailed(f"fewer than {FILLS_MIN} fills after {FILLS_S} s")
        time.sleep(0.5)


def run(folder: Path, tell: Callable[[str], None]) -> Result:
    """Pictures of every page in a folder. Raises StackFailed, NoBrowser."""
    if problem := why_not():
        raise NoBrowser(problem)
    folder.mkdir(parents=True, exist_ok=True)
    result = Result()
    with played(tell) as (root, password, _stack):
        paths = addresses()
        for theme in THEMES:
            tell(f"looking, {theme}")
            _look(result, root, password, folder, theme=theme, size=WIDE, paths=paths)
        phone = {name: path for name, path in paths.items() if name in ON_A_PHONE}
        _look(result, root, password, folder, theme="dark", size=PHONE, paths=phone)
    return result


def addresses() -> dict[str, str]:
    """Every page of the rail by name, and one of each thing that has a page of its own."""
    from django.urls import reverse

    firsts = {"chart": "chart-first"}
    found = {
        page.name: reverse(firsts.get(page.name, page.name))
        for pages in RAIL.values()
        for page in pages
        if page.name not in NOT_OURS
    }
    order = Order.objects.filter(fills_count__gt=0).order_by("created_at").first()
    if order is not None:
        found["order"] = reverse("order", args=[order.pk])
        found["timeline"] = found["order"] + "?view=timeline"
        found["strategy"] = reverse("strategy", args=[order.deployment_id])
    return found


def _look(
    result: Result,
    root: str,
    password: str,
    folder: Path,
    *,
    theme: str,
    size: dict[str, int],
    paths: dict[str, str],
) -> None:
    kind = "phone" if size is PHONE else "wide"
    with browsing(root, size=size, theme=theme) as person:
        person.log_in(NAME, password)
        for name, path in paths.items():
            person.open(path)
            person.page.wait_for_timeout(SETTLE_MS)
            file = f"{name}-{theme}-{kind}.png"
            person.page.screenshot(path=str(folder / file))
            result.shots.append(Shot(name, theme, kind, file))
        result.faults += person.faults
