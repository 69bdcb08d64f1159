"""A person at Chromium: opens pages, and notes what a page must not do: an error or a warning in the console (a broken
policy is one), a request to another host, an answer of 400 or more."""

from __future__ import annotations

import inspect
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from alphapanda.stack import StackFailed

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
DESK, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
THEMES = ("dark", "light")
OWN_SCHEMES = ("data", "blob")
COMPLAINTS = ("error", "warning")
ANSWERED_BADLY = "Failed to load resource"  # the console's word for an answer that is noted with its address
LIVE_MS = 10_000

PAINTED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const all = [page, ...performance.getEntriesByType("resource")];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {
    requests: all.length,
    bytes: all.reduce((sum, one) => sum + one.transferSize, 0),
    plain_bytes: all.reduce((sum, one) => sum + one.decodedBodySize, 0),
    content_ms: Math.round(paint?.startTime ?? page.domContentLoadedEventEnd),
  };
}"""


class NoBrowser(StackFailed):
    """There is no Chromium on this machine, or nothing to drive it with."""


class Weight(msgspec.Struct, frozen=True):
    """What a first look at a page costs: bytes as they came over the wire, and as they were unpacked."""

    requests: int
    bytes: int
    plain_bytes: int
    content_ms: int


def why_not() -> str:
    """Why no browser can be driven here; nothing where one can."""
    try:
        import playwright.sync_api  # noqa: F401  a tool of development alone
    except ImportError:
        return "playwright is not installed: it is among the requirements of development"
    if not any(map(shutil.which, CHROMIUM)):
        return f"there is no Chromium ({', '.join(CHROMIUM)}): apt-get install chromium"
    return ""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; raises NoBrowser."""
    if problem := why_not():
        raise NoBrowser(problem)
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, CHROMIUM)))
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="browser") as thread:
        driver = Far(sync_playwright(), thread)
        with driver as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
            try:
                yield browser
            finally:
                browser.close()


class Far:
    """An object of the browser's driver, which keeps an event loop in a thread of its own: there is done what is asked
    of it here, and what it gives back is of this kind again. In the thread of a loop Django's queries are refused."""

    def __init__(self, it: Any, thread: ThreadPoolExecutor) -> None:
        self._it, self._thread = it, thread

    def __getattr__(self, name: str) -> Any:
        return self._ask(lambda: getattr(self._it, name))

    def __call__(self, *given: Any, **named: Any) -> Any:
        named = {name: self._near(value) for name, value in named.items()}
        return self._ask(lambda: self._it(*map(self._near, given), **named))

    def __enter__(self) -> Any:
        return self._ask(self._it.__enter__)

    def __exit__(self, *raised: Any) -> Any:
        return self._ask(lambda: self._it.__exit__(*raised))

    def _ask(self, question: Callable[[], Any]) -> Any:
        if threading.current_thread().name.startswith("browser"):
            return self._far(question())
        return self._far(self._thread.submit(question).result())

    def _far(self, found: Any) -> Any:
        if isinstance(found, list):
            return [self._far(one) for one in found]
        is_driven = callable(found) or type(found).__module__.startswith("playwright.")
        return Far(found, self._thread) if is_driven else found

    def _near(self, given: Any) -> Any:
        """What the driver may take: its own objects, plain data, and functions that it calls with its own objects."""
        if isinstance(given, Far):
            return given._it
        if callable(given):
            takes = len(inspect.signature(given).parameters)
            return lambda *found: self._near(given(*map(self._far, found[:takes])))
        return given


class Person:
    """One who has a window of their own with nothing in its cache."""

    def __init__(self, browser: Any, root: str, *, size: dict[str, int] = DESK, **context: Any) -> None:
        self.root, self.faults = root, list[str]()
        self.tolerated: set[int] = set()  # answers that are no fault here
        self.context = browser.new_context(base_url=root, viewport=size, **context)
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._note(f"error: {error.message}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def log_in(self, name: str, password: str) -> None:
        self.page.goto("/login/")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("#page")

    def open(self, path: str) -> int:
        """Go to an address of ours and wait until the page lives, where it can; the answer's status."""
        answer = self.page.goto(path)
        if self.page.query_selector("#link"):
            self.page.wait_for_selector('#link:not([data-state="off"])', timeout=LIVE_MS)
        return int(answer.status)

    def wear(self, theme: str, palette: str = "usual") -> None:
        worn = {"theme": theme, "palette": palette}
        self.page.evaluate("worn => { Object.assign(document.documentElement.dataset, worn) }", worn)

    def weigh(self) -> Weight:
        """Of the page that was opened last, where nothing of it was in the cache."""
        return msgspec.convert(self.page.evaluate(PAINTED), Weight)

    def is_wider_than_the_window(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def close(self) -> None:
        self.context.close()

    def _heard(self, message: Any) -> None:
        if message.type in COMPLAINTS and not message.text.startswith(ANSWERED_BADLY):
            self._note(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in OWN_SCHEMES and asked.netloc != urlsplit(self.root).netloc:
            self._note(f"request to another host: {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400 and response.status not in self.tolerated:
            self._note(f"{response.status} from {urlsplit(response.url).path}")

    def _note(self, words: str) -> None:
        self.faults.append(f"{urlsplit(self.page.url).path}: {words}")
