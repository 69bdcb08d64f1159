"""A Kite simulator in a process of its own, and a browser that goes through its login page and our callback."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import requests

from alphapanda.embedded.server import die_with_parent
from alphapanda.stack import ROOT, StackFailed

START_S = 90.0
ANSWER_S = 20.0
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class KiteProcess:
    """`manage.py kite_simulator` with its clock standing until `run_at`; what it says goes to `log`."""

    def __init__(self, arguments: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, str(ROOT / "manage.py"), "kite_simulator", "--port", str(self.port)]
        self._command += ["--speed", "0", *arguments]
        self._log, self._env = log, dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509  one call, no lock
            )
        try:
            self._wait()
        except StackFailed:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(ANSWER_S)

    def _wait(self) -> None:
        """Raises StackFailed."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                self.clock()
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        raise StackFailed(f"the simulator does not answer\n{self._log.read_text(errors='replace')[-2000:]}")

    def book(self) -> dict[str, Any]:
        """Everything that the simulated broker knows."""
        return self._told("GET", "book")

    def clock(self) -> dict[str, Any]:
        return self._told("GET", "clock")

    def run_at(self, speed: int) -> None:
        self._told("POST", "clock", {"speed": speed})

    def arm(self, *faults: dict[str, Any]) -> None:
        self._told("POST", "faults", list(faults))

    def disarm(self) -> None:
        self._told("DELETE", "faults")

    def log_in_elsewhere(self, api_key: str, secret: str) -> None:
        """As another program with the same app and person: its login kills the token that we have."""
        offered = self._told("POST", "login", {})["request_token"]
        checksum = hashlib.sha256(f"{api_key}{offered}{secret}".encode()).hexdigest()
        form = {"api_key": api_key, "request_token": offered, "checksum": checksum}
        requests.post(f"{self.url}/session/token", form, timeout=ANSWER_S).raise_for_status()

    def _told(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(method, f"{self.url}/__simulator__/{path}", json=body, timeout=ANSWER_S)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["data"]
        return found


class Browser:
    """What a person does with the pages. Keeps the text of every page that was shown."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: list[tuple[str, str]] = []
        self._session = requests.Session()

    def get(self, path: str) -> str:
        """The page, after redirects."""
        return self._kept(path, self._session.get(self.url + path, timeout=ANSWER_S))

    def post(self, path: str, fields: Mapping[str, str], *, form: str = "") -> str:
        """Send the form that is shown at `form` (default: the same address)."""
        return self._kept(path, self._sent(path, fields, form or path))

    def act(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """An act by the API with the session of the pages. Raises StackFailed with what it was refused for."""
        headers = {"X-CSRFToken": self._session.cookies.get("csrftoken", ""), "Referer": f"{self.url}/"}
        answer = self._session.post(self.url + path, json=body, headers=headers, timeout=ANSWER_S)
        text = self._kept(path, answer)
        if not answer.ok:
            raise StackFailed(f"{path}: {answer.status_code}: {text[:500]}")
        found: dict[str, Any] = answer.json()
        return found

    def log_in_at_kite(self, account: str) -> str:
        """From the page Broker to the broker's login page and back; what our page then says. Raises StackFailed."""
        away = self._sent("/broker/login/", {"account": account}, "/broker/", follow=False)
        where = away.headers.get("Location", "")
        params = parse_qs(urlsplit(where).query).get("redirect_params")
        if not params:
            raise StackFailed(f"the login leads to {where or away.status_code}, not to the broker's page")
        form = {"redirect_params": params[0], "act": "login"}
        back = requests.post(where, form, allow_redirects=False, timeout=ANSWER_S)
        return self._kept("/broker/callback/", self._session.get(back.headers["Location"], timeout=ANSWER_S))

    def _sent(
        self, path: str, fields: Mapping[str, str], form: str, *, follow: bool = True
    ) -> requests.Response:
        token = CSRF.search(self.get(form))
        body = {**fields, "csrfmiddlewaretoken": token.group(1) if token else ""}
        headers = {"Referer": self.url + form}
        return self._session.post(
            self.url + path, body, headers=headers, timeout=ANSWER_S, allow_redirects=follow
        )

    def _kept(self, path: str, answer: requests.Response) -> str:
        self.pages.append((path, answer.text))
        return answer.text
