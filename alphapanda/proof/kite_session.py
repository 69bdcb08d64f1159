"""A recorded session traded end to end: Kite simulator, feed, strategies, risk, live adapter, postbacks and books, all
as processes, beside the same deployment on paper. In the middle the updates are cut, and a login elsewhere kills the
token."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import BrokerSession, User
from accounts.selectors import NoToken, access_token, the_account
from accounts.services import ensure_roles
from alphapanda import deploying
from alphapanda.core.clock import ist_date, ist_ms
from alphapanda.core.vocabulary import Broker, DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.eventlog import segregation
from alphapanda.proof import canary, parity, quiet, twins
from alphapanda.proof.kite_books import against_the_broker, keep, recorded
from alphapanda.proof.kite_process import Browser, KiteProcess, free_port
from alphapanda.proof.private import command, private_stack
from alphapanda.proof.sessions import NoSharedData
from alphapanda.stack import Stack, StackFailed
from alphapanda.web.roles import Role
from execution.models import BrokerCall, BrokerDesk, Difference, Fill
from marketdata.domain.bars import MINUTE_MS
from portfolio import services as portfolios
from portfolio.models import Position
from strategies.models import Deployment

FILE = "nse_depth5_2025-12-15_NSE_BHARATFORG.csv.gz"
KEY = "NSE:BHARATFORG"
CASH = Decimal(1_000_000)
USER, API_KEY, OPERATOR = "AB1234", "rehearsal0key", "proof"
PARAMS = {"fast": 5, "slow": 13, "quantity": 100, "bar_minutes": 1}
# The matching of the simulated broker: what is left to explain is the way of the order.
PAPER = {"latency_ms": 60, "slippage_ticks": 0, "market_protection": -1, "circuit_percent": 20}
LIMITS = {"daily_orders": 500}
PAPER_NAME, LIVE_NAME = "Twin on paper", "Twin at zerodha"
CUT_MS, RESUME_S = 60_000, 10.0
SLOW = 10  # the speed at which something is watched
# Before the broker's cutoff of intraday orders: so fast a session would ask for its square-off too late.
FLAT_MS = 20 * MINUTE_MS
CUT_AT, LOGIN_AT = 0.35, 0.6  # of the way from start to close
CLOSES_AT = datetime.time(15, 31)  # IST
BACK_S = 60.0
WAIT_S = 300.0  # a bound, no measure
PAGES = ("/", "/broker/", "/admin/accounts/brokeraccount/", "/admin/accounts/brokersession/",
         "/admin/execution/order/", "/admin/accounts/auditentry/", "/api/v1/broker-accounts/")  # fmt: skip
SERVERS = ("postgres", "kafka", "redis", "secrets.json", "sockets")  # not text that anybody reads


class Plan(msgspec.Struct, frozen=True):
    """What is played, how fast, from when on, and where logs are kept."""

    data: Path
    speed: int = 60
    at: str = ""
    keep: Path | None = None


class Result(msgspec.Struct):
    """What was seen; `faults` is empty where all holds."""

    differences: list[twins.Difference] = []
    signals: int = 0
    orders: int = 0
    trades: int = 0
    updates_lost: int = 0
    ticks_after_s: float = -1.0
    order_after_s: float = -1.0
    secrets: int = 0
    places: int = 0
    seconds: float = 0.0
    faults: list[str] = []

    @property
    def unexplained(self) -> int:
        return sum(one.why == twins.UNEXPLAINED for one in self.differences)


class Session:
    """One run: the simulator, the stack that trades there, and the person at the pages."""

    def __init__(self, plan: Plan, tell: Callable[[str], None]) -> None:
        self.plan, self.tell = plan, tell
        self.file = plan.data / "ticks" / FILE
        if not self.file.exists():
            raise NoSharedData(f"{self.file} is missing: name the folder of shared data in ALPHAPANDA_DATA")
        self.result = Result()
        self.port = free_port()
        self.password, self.secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.tokens: list[str] = []
        self.browser = Browser(f"http://127.0.0.1:{self.port}")

    def run(self) -> Result:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder:
            log, env = Path(folder) / "simulator.log", {**os.environ, "ALPHAPANDA_RUN_DIR": folder}
            with (
                KiteProcess(self._simulated(), log=log, env=env) as kite,
                private_stack(self._environment(kite, Path(folder)), without=("beat", "research")) as stack,
            ):
                try:
                    self._trade(kite, stack)
                finally:
                    self._keep(stack.run_dir, log)
        self.result.seconds = round(time.monotonic() - started, 1)
        return self.result

    def _keep(self, run_dir: Path, log: Path) -> None:
        """Copy what was logged to where the operator wants it."""
        if self.plan.keep is None:
            return
        self.plan.keep.mkdir(parents=True, exist_ok=True)
        for path in (run_dir / "up.log", log, *run_dir.glob("logs/*")):
            if path.is_file():
                shutil.copy(path, self.plan.keep)

    def _simulated(self) -> list[str]:
        here = f"http://127.0.0.1:{self.port}"
        more = ["--at", self.plan.at] if self.plan.at else []
        return [
            *("--recorded", str(self.file), "--cash", str(CASH), "--user", USER),
            *("--api-key", API_KEY, "--api-secret", self.secret),
            *("--redirect-url", f"{here}/broker/callback/", "--postback-url", f"{here}/kite/postback/"),
            *more,
        ]

    def _environment(self, kite: KiteProcess, folder: Path) -> dict[str, str]:
        none = folder / "deployments.json"
        none.write_text("[]")  # the twins come later, made by a person
        return {
            "ALPHAPANDA_PORT": str(self.port),
            "ALPHAPANDA_FEED": "kite",
            "ALPHAPANDA_FEED_CLOCK": "ticks",
            "ALPHAPANDA_BROKERS": "paper,zerodha",
            "ALPHAPANDA_LIVE_TRADING": "true",
            "ALPHAPANDA_ZERODHA_ENABLED": "true",
            "ALPHAPANDA_KITE_API_URL": kite.url,
            "ALPHAPANDA_KITE_LOGIN_URL": f"{kite.url}/connect/login",
            "ALPHAPANDA_KITE_WS_URL": kite.url.replace("http://", "ws://"),
            "ALPHAPANDA_CREDENTIAL_KEYS": ",".join(settings.CREDENTIAL_KEYS),  # this process reads tokens too
            "ALPHAPANDA_TRADING_WORKERS": "1",
            "ALPHAPANDA_DEPLOYMENTS": str(none),
        }

    # ---- the session

    def _trade(self, kite: KiteProcess, stack: Stack) -> None:
        self._open(stack)
        start_ms = kite.clock()["now_ms"]
        close_ms = _close_ms(start_ms)
        kite.run_at(self.plan.speed)
        self._until(kite, stack, start_ms + int((close_ms - start_ms) * CUT_AT))
        self._cut(kite, stack)
        kite.run_at(self.plan.speed)
        self._until(kite, stack, start_ms + int((close_ms - start_ms) * LOGIN_AT))
        self._log_in_again(kite, stack)
        kite.run_at(self.plan.speed)
        self._until(kite, stack, close_ms - FLAT_MS)
        _quiet_moment(kite, stack)
        self._flatten()
        quiet.wait(stack, timeout_s=WAIT_S, what="end of what flattening began")
        kite.run_at(self.plan.speed)
        self._until(kite, stack, close_ms)
        kite.run_at(1)
        quiet.wait(stack, timeout_s=WAIT_S, what="end of all that is under way")
        self._judge(kite, stack)

    def _until(self, kite: KiteProcess, stack: Stack, at_ms: int) -> None:
        """Let the session go on to a time of its own."""

        def is_there() -> bool:
            time.sleep(0.2)
            clock = kite.clock()
            self.tell(f"{clock['now']}, {Fill.objects.count()} fills")
            return bool(clock["now_ms"] >= at_ms)

        stack.wait(is_there, timeout_s=3_600, what="that time of the session")

    def _open(self, stack: Stack) -> None:
        """A person with the account, logged in at the broker through the pages, and the twins."""
        person = User.objects.create_superuser(OPERATOR, password=self.password)
        ensure_roles()
        person.groups.add(Group.objects.get(name=Role.OPERATOR))
        self.browser.post("/login/", {"username": OPERATOR, "password": self.password})
        account = {
            "name": "main",
            "broker": "zerodha",
            "user_id": USER,
            "api_key": API_KEY,
            "secret": self.secret,
        }
        self.browser.post("/admin/accounts/brokeraccount/add/", {**account, "is_active": "on"})
        self._log_in()
        stack.wait(_is_reconciled, timeout_s=WAIT_S, what="first look at the broker's book")
        command(stack, "kite_instruments")
        _deployed()
        self._clear()
        self._start()

    def _clear(self) -> None:
        """What stands between a person and live trading: the terms, the password again, the readiness check."""
        terms = json.loads(self.browser.get("/api/v1/live/clearance/"))
        self.browser.act("/api/v1/live/terms/", {"version": terms["version"]})
        self.browser.act("/api/v1/live/unlock/", {"password": self.password})
        found = self.browser.act("/api/v1/live/readiness/", {})
        if not found["is_passed"]:
            raise StackFailed(f"not ready: {found['data']}")

    def _start(self) -> None:
        for row in Deployment.objects.order_by("broker"):
            self.browser.act(f"/api/v1/deployments/{row.id}/start/", {"reason": "a rehearsal"})

    def _flatten(self) -> None:
        for row in Deployment.objects.order_by("broker"):
            self.browser.act(f"/api/v1/deployments/{row.id}/flatten/", {"reason": "a rehearsal"})

    def _log_in(self) -> None:
        page = self.browser.log_in_at_kite("main")
        try:
            self.tokens.append(access_token(the_account("main").pk, now=timezone.now()).access_token)
        except NoToken:
            self.result.faults.append(f"the login through the page failed: {_alerts(page)}")

    def _cut(self, kite: KiteProcess, stack: Stack) -> None:
        """No update comes for a minute of the session in which there are some; what they would have told is found in
        the broker's book."""
        kite.arm({"kind": "missing", "times": -1})
        stack.wait(lambda: _lost(kite) > 0, timeout_s=WAIT_S, what="an update that is lost")
        kite.run_at(SLOW)
        self._until(kite, stack, kite.clock()["now_ms"] + CUT_MS)
        kite.disarm()
        self.result.updates_lost = _lost(kite)
        quiet.wait(stack, timeout_s=BACK_S, what="news of the orders whose updates were lost")

    def _log_in_again(self, kite: KiteProcess, stack: Stack) -> None:
        """A login elsewhere kills the token; the twins are flattened while nothing can go; the operator logs in."""
        _quiet_moment(kite, stack)
        kite.log_in_elsewhere(API_KEY, self.secret)
        refused = BrokerSession.objects.filter(ended_by=BrokerSession.End.REFUSED)
        stack.wait(refused.exists, timeout_s=WAIT_S, what="refusal of the dead token")
        asked = _sent()
        self._flatten()
        back, read = time.monotonic(), _read_to()
        self._log_in()
        while time.monotonic() < back + BACK_S and not self._is_back(back, read, asked):
            time.sleep(0.05)
        for name in ("ticks_after_s", "order_after_s"):
            after = getattr(self.result, name)
            if not 0 <= after <= RESUME_S:
                self.result.faults.append(f"{name} is {after} after the new login, more than {RESUME_S:.0f}")

        quiet.wait(stack, timeout_s=WAIT_S, what="end of what flattening began")
        self._start()  # flattening has paused them

    def _is_back(self, since: float, read: int, asked: int) -> bool:
        """Note when ticks have come and an order has left again."""
        after = round(time.monotonic() - since, 2)
        if self.result.ticks_after_s < 0 and _read_to() > read:
            self.result.ticks_after_s = after
        if self.result.order_after_s < 0 and _sent() > asked:
            self.result.order_after_s = after
        return min(self.result.ticks_after_s, self.result.order_after_s) >= 0

    # ---- what came of it

    def _judge(self, kite: KiteProcess, stack: Stack) -> None:
        result, book = self.result, kite.book()
        paper, live = (Deployment.objects.get(name=name) for name in (PAPER_NAME, LIVE_NAME))
        both = twins.of_deployment(paper), twins.of_deployment(live)
        result.differences = twins.compare(*both, twins.Offers(recorded(self.file)))
        keep(self.plan.keep, both, book)
        result.signals, result.orders = len(both[1].acts), len(book["orders"])
        result.trades = sum(len(order["trades"]) for order in book["orders"])
        faults = [f"unexplained: {one.what}: {one.paper} | {one.live}" for one in result.differences
                  if one.why == twins.UNEXPLAINED]  # fmt: skip
        faults += against_the_broker(both[1], live, book)
        faults += [
            f"open difference: {row.kind} {row.key}" for row in Difference.objects.filter(settled_at=None)
        ]
        faults += [fault for name in (PAPER_NAME, LIVE_NAME) for fault in _refolded(stack, name)]
        faults += [f"{count} crossings of namespaces" for count in [len(segregation.crossings())] if count]
        faults += [f"{count} differences in rebuilt books" for count in [parity.unbalanced()] if count]
        faults += [f"no {what}" for what in ("signals", "orders", "trades") if not getattr(result, what)]
        result.faults += faults + self._seek(stack)

    def _seek(self, stack: Stack) -> list[str]:
        """Where a secret is that should be nowhere."""
        for path in PAGES:
            self.browser.get(path)
        told = {"API secret": self.secret, "password": self.password}
        told |= {f"access token {number}": token for number, token in enumerate(self.tokens, 1)}
        places = [
            *canary.files(stack.run_dir, but=SERVERS),
            *canary.tables(),
            *canary.topics(),
            *((f"page {path}", text.encode()) for path, text in self.browser.pages),
        ]
        self.result.secrets, self.result.places = len(told), len(places)
        return sorted(set(canary.hits(told, places)))


def run(plan: Plan, tell: Callable[[str], None]) -> Result:
    """Raises StackFailed, NoSharedData."""
    return Session(plan, tell).run()


def _refolded(stack: Stack, name: str) -> list[str]:
    """What a replay of a deployment from the log, the broker's reports and what people did finds to differ."""
    try:
        command(stack, "replay", name)
    except StackFailed as error:
        return [str(error)]
    return []


def _deployed() -> None:
    """The twins, stopped, each in a portfolio of its own."""
    for name, broker, execution in ((PAPER_NAME, Broker.PAPER, PAPER), (LIVE_NAME, Broker.ZERODHA, {})):
        portfolio = portfolios.portfolio_create(name=f"{name}: cash", broker=broker, starting_cash=CASH)
        definition = Definition(
            name=name,
            strategy="ema_cross",
            instruments=(KEY,),
            params=PARAMS,
            broker=broker,
            execution=execution,
            limits=LIMITS,
        )
        deploying.create(definition, portfolio_id=portfolio.id, status=DeploymentStatus.STOPPED)


def _close_ms(at_ms: int) -> int:
    return ist_ms(ist_date(at_ms), CLOSES_AT)


def _is_reconciled() -> bool:
    return BrokerDesk.objects.filter(reconciled_at__isnull=False).exists()


def _read_to() -> int:
    return max(Deployment.objects.values_list("seq", flat=True), default=0)


def _sent() -> int:
    """Calls that have left for the broker."""
    return BrokerCall.objects.filter(sent_at_ms__isnull=False).count()


def _lost(kite: KiteProcess) -> int:
    time.sleep(0.1)
    return sum(one["kind"] == "missing" for one in kite.book()["faults"]["fired"])


def _quiet_moment(kite: KiteProcess, stack: Stack) -> None:
    """Let time go at its own pace from a moment on in which both hold and nothing is under way. What a person asks for
    counts from where each stands on record, which they note once a second: of this pace, not of the fast one."""
    kite.run_at(SLOW)
    stack.wait(lambda: _are_held(kite), timeout_s=WAIT_S, what="a quiet moment in which both hold")
    kite.run_at(1)
    stood = _stand()
    stack.wait(lambda: min(map(int.__sub__, _stand(), stood)) > 0, timeout_s=WAIT_S, what="news of both")


def _stand() -> list[int]:
    """How far each deployment has read, as it is on record."""
    return list(Deployment.objects.order_by("pk").values_list("seq", flat=True))


def _are_held(kite: KiteProcess) -> bool:
    """Whether both hold, and no bar ends in the next moments: an entry that meets the dead token would be refused."""
    if kite.clock()["now_ms"] % MINUTE_MS > MINUTE_MS // 2:
        return False
    return quiet.is_quiet() and Position.objects.exclude(quantity=0).count() == Deployment.objects.count()


def _alerts(page: str) -> str:
    """The end of a page's words: what it complains of."""
    return " ".join(page.split())[-200:]
