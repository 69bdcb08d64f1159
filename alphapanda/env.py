"""The environment, read once and strictly: a name or a value that does not fit refuses to start."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from alphapanda import kinds
from alphapanda.embedded import generated
from alphapanda.embedded.places import KAFKA_ADDRESS
from alphapanda.kinds import (
    BOOL,
    HOST,
    ITEMS,
    KEYS,
    ORIGINS,
    PATH,
    PATHS,
    SPEED,
    TEXT,
    TOPIC,
    Kind,
    Parsed,
    address,
    at_least,
    is_here,
    one_of,
    over_tls,
    some_of,
    whole,
)

ROOT = kinds.ROOT
PREFIX = "ALPHAPANDA_"
SHARDS_MAX = 64


class Misconfigured(ImproperlyConfigured):
    """The environment does not fit; the message lists every fault."""


class NoBroker(RuntimeError):
    """The embedded log has no address: nothing serves it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One knob: `default` is text as it would stand in the environment."""

    name: str
    kind: Kind
    default: str
    meaning: str
    secret: bool = False
    required: bool = False  # outside embedded mode; embedded, it is generated once

    @property
    def variable(self) -> str:
        return PREFIX + self.name


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        address("postgres", "postgresql"),
        "",
        "PostgreSQL; empty starts an embedded one and generates the secrets",
        secret=True,
    ),
    Setting(
        "REDIS_URL",
        address("redis", "rediss", "unix"),
        "",
        "Redis; empty starts an embedded one",
        secret=True,
    ),
    Setting("KAFKA_BOOTSTRAP", TEXT, "", "Kafka host:port,...; empty starts an embedded broker in memory"),
    Setting("SECRET_KEY", at_least(50), "", "Django's signing key", secret=True, required=True),
    Setting("JWT_KEY", at_least(43), "", "API tokens' own key, 256 bits or more", secret=True, required=True),
    Setting(
        "CREDENTIAL_KEYS",
        KEYS,
        "",
        "keys of broker secrets and tokens in the database; the first encrypts, all decrypt",
        secret=True,
        required=True,
    ),
    Setting("ALLOWED_HOSTS", ITEMS, "127.0.0.1,localhost", "host names that the web process answers to"),
    Setting(
        "ALLOWED_ORIGINS",
        ORIGINS,
        "",
        "browser origins trusted for forms and sockets; empty: only the page's own",
    ),
    Setting("DEBUG", BOOL, "false", "Django's debug pages; refused outside embedded mode"),
    Setting("RUN_DIR", PATH, ".run", "sockets, embedded data, logs, process list"),
    Setting("DATA", PATH, "../shared/data", "shared test data"),
    Setting("HOST", HOST, "127.0.0.1", "address that the web process listens on"),
    Setting("PORT", whole(1, 65535), "8000", "port that the web process listens on"),
    Setting("SHARDS", whole(1, SHARDS_MAX), "2", "strategy workers, one queue each"),
    Setting("TRADING_WORKERS", whole(1, 64), "2", "workers of risk, execution and portfolio"),
    Setting("TOPIC_PREFIX", TOPIC, "", "put before every topic and consumer group"),
    Setting("TICK_PARTITIONS", whole(1, 4), "1", "partitions of market.ticks that are used"),
    Setting("TOPIC_PARTITIONS", whole(1, 64), "4", "partitions of every other topic"),
    Setting("TOPIC_RETENTION_HOURS", whole(1, 87600), "168", "how long a topic keeps its messages"),
    Setting("TOPIC_REPLICATION", whole(1, 9), "1", "copies of each topic"),
    Setting("OUTBOX_KEEP_DAYS", whole(1, 3650), "14", "how long a published event stays in the database"),
    Setting("BATCH_ITEMS", whole(1, 10000), "500", "most messages of one poll of the log"),
    Setting(
        "FEED", one_of("none", "recorded", "kite"), "recorded", "where ticks come from; kite: its websocket"
    ),
    Setting("FEED_SPEED", SPEED, "60", "pace of a recorded feed: a factor of real time, or max"),
    Setting("FEED_FILES", PATHS, "", "files of a recorded feed; empty: the session that ships"),
    Setting(
        "FEED_INSTRUMENTS",
        ITEMS,
        "",
        "instruments (EXCHANGE:SYMBOL) that a live feed streams besides those of deployments",
    ),
    Setting(
        "FEED_CLOCK",
        one_of("wall", "ticks"),
        "wall",
        "what tells a live feed the time; ticks: those of a simulator that plays another day",
    ),
    Setting("FEED_BATCH_ITEMS", whole(1, 2000), "500", "most items that a feed packs into one message"),
    Setting(
        "INSTRUMENTS", PATHS, "", "Kite instrument lists that bootstrap loads besides the one that ships"
    ),
    Setting("DEPLOYMENTS", TEXT, "", "file of deployments to seed; empty: those that ship"),
    Setting("STRATEGIES", PATH, "my_strategies", "folder of your own strategies; it may be missing"),
    Setting(
        "STRATEGY_SECONDS",
        whole(1, 600),
        "5",
        "longest that one call of a strategy may take before its deployment is quarantined",
    ),
    Setting("BROKERS", some_of("paper", "zerodha"), "paper", "broker namespaces that exist; paper always"),
    Setting(
        "ZERODHA_ENABLED",
        BOOL,
        "false",
        "send orders to Zerodha; needs LIVE_TRADING, and zerodha in BROKERS",
    ),
    Setting("LIVE_TRADING", BOOL, "false", "the explicit switch for real money"),
    Setting("KITE_API_URL", over_tls("https", has_path=False), "https://api.kite.trade", "Kite's REST API"),
    Setting(
        "KITE_LOGIN_URL",
        over_tls("https", has_path=True),
        "https://kite.zerodha.com/connect/login",
        "Kite's login page",
    ),
    Setting(
        "KITE_WS_URL", over_tls("wss", has_path=True), "wss://ws.kite.trade", "Kite's websocket of ticks"
    ),
    Setting(
        "KITE_BCD_DIVISOR",
        one_of("10000", "10000000"),
        "10000",
        "parts of a rupee that prices of BSE's currency segment count; Kite's clients and its documentation differ",
    ),
    Setting(
        "KITE_ARCHIVE",
        BOOL,
        "false",
        "keep Kite's candles for good; its terms restrict permanent copies, so ask Zerodha before",
    ),
    Setting(
        "START_OF_DAY_REQUIRED", BOOL, "false", "refuse entries until `start_of_day` has passed that day"
    ),
    Setting(
        "ALERT_PAUSES_MINUTES",
        whole(0, 1440),
        "15",
        "refuse entries while a critical alert is open for longer; 0: never",
    ),
    Setting(
        "LEASE_SECONDS",
        whole(0, 3600),
        "0",
        "halt everything and cancel what works after so long without a sign of life in market hours; 0: never",
    ),
    Setting("LOG_FORMAT", one_of("json", "console"), "json", "how a log line is written"),
    Setting("LOG_LEVEL", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "least level that is logged"),
    Setting("FAILPOINT_DIR", TEXT, "", "tests only: where armed failpoints lie"),
)
BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}


class _DotEnv(environ.Env):
    """django-environ's reader of `.env`, kept away from this process's own environment."""

    ENVIRON: dict[str, str] = {}


def read_dotenv(path: Path) -> tuple[dict[str, str], list[str]]:
    """The variables of an `.env` file, and the lines that are none."""
    if not path.is_file():
        return {}, []
    lines = path.read_text().splitlines()
    valid = re.compile(r"\s*(#.*)?|(export )?[A-Za-z_0-9]+=.*")
    faults = [
        f"{path.name} line {n}: expected NAME=value"
        for n, line in enumerate(lines, 1)
        if not valid.fullmatch(line)
    ]
    _DotEnv.ENVIRON = {}
    _DotEnv.read_env(io.StringIO("\n".join(line for line in lines if valid.fullmatch(line))))
    return dict(_DotEnv.ENVIRON), faults


def load(environment: Mapping[str, str], *, dotenv: Path | None = None) -> dict[str, Parsed]:
    """All settings by name, from the environment before `dotenv` before defaults; raises Misconfigured."""
    from_file, faults = read_dotenv(dotenv) if dotenv else ({}, [])
    given = {k: v.strip() for k, v in (from_file | dict(environment)).items() if k.startswith(PREFIX)}
    faults += [_unknown(name) for name in sorted(given.keys() - BY_VARIABLE.keys())]
    values: dict[str, Parsed] = {}
    for setting in SETTINGS:
        text = given.get(setting.variable, "") or setting.default
        try:
            values[setting.name] = setting.kind.parse(text)
        except ValueError:
            shown = "a secret (not shown)" if setting.secret else repr(text)
            faults.append(f"{setting.variable} is {shown}; expected {setting.kind.expected}")
    if not faults:
        faults = _together(values)
    if faults:
        raise Misconfigured(_message(faults))
    if not values["DATABASE_URL"]:
        try:
            values |= _generated(values)
        except OSError as error:
            raise Misconfigured(_message([unusable(Path(str(values["RUN_DIR"])), error)])) from None
        except generated.Damaged as error:
            raise Misconfigured(_message([str(error)])) from None
    return values


def unusable(run_dir: Path, error: OSError) -> str:
    """Why a folder is no RUN_DIR."""
    return f"{PREFIX}RUN_DIR is {str(run_dir)!r}; expected a folder to write to: {error.strerror}"


def is_embedded(values: Mapping[str, Parsed]) -> bool:
    """True where the database is our own: secrets then live beside the data that they protect."""
    return not values["DATABASE_URL"]


def secret_values(values: Mapping[str, Parsed]) -> list[str]:
    """What no log may show: the secrets, and of an address its password, as it is written there and as it is meant."""
    found = [values[setting.name] for setting in SETTINGS if setting.secret]
    texts = [str(text) for one in found for text in (one if isinstance(one, list) else [one])]
    written = [urlsplit(text).password or "" if "://" in text else text for text in texts]
    meant = [unquote(urlsplit(text).password or "") for text in texts if "://" in text]
    return [value for value in dict.fromkeys([*written, *meant]) if value]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, BY_VARIABLE, n=1, cutoff=0.85)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "; see README, Settings")


def _together(values: Mapping[str, Parsed]) -> list[str]:
    """Faults that need more than one setting to see."""
    faults = []
    if not is_embedded(values):
        faults += [
            f"{s.variable} is missing; expected {s.kind.expected}, because {PREFIX}DATABASE_URL is set"
            for s in SETTINGS
            if s.required and not values[s.name]
        ]
        if values["DEBUG"]:
            faults.append(f"{PREFIX}DEBUG is true; expected false, because {PREFIX}DATABASE_URL is set")
    if "paper" not in values["BROKERS"]:  # type: ignore[operator]
        faults.append(
            f"{PREFIX}BROKERS does not name paper; expected paper or paper,zerodha: shadows and rehearsals trade there"
        )
    return faults + (_live(values) if values["ZERODHA_ENABLED"] else [])


def _live(values: Mapping[str, Parsed]) -> list[str]:
    because = f"because {PREFIX}ZERODHA_ENABLED is true"
    faults = []
    if not values["LIVE_TRADING"]:
        faults.append(
            f"{PREFIX}LIVE_TRADING is false; expected true, {because}: real money needs both switches"
        )
    if "zerodha" not in values["BROKERS"]:  # type: ignore[operator]
        faults.append(f"{PREFIX}BROKERS does not name zerodha; expected paper,zerodha, {because}")
    return faults + _at_kite(values, because)


def _at_kite(values: Mapping[str, Parsed], because: str) -> list[str]:
    """A simulator on this machine, or Kite itself with its own prices and the time of the wall: nothing in between, and
    nobody else, who would be given the token."""
    own = {
        one.name: one.default
        for one in SETTINGS
        if one.name in ("KITE_API_URL", "KITE_LOGIN_URL", "KITE_WS_URL")
    }
    if all(is_here(urlsplit(str(values[name])).hostname) for name in own):
        return []
    wanted = own | {"FEED": "kite", "FEED_CLOCK": "wall"}
    return [
        f"{PREFIX}{name} is {values[name]}; expected {said}, or all three addresses of Kite at a simulator on this"
        f" machine, {because}"
        for name, said in wanted.items()
        if values[name] != said
    ]


def _message(faults: list[str]) -> str:
    count = "one setting does" if len(faults) == 1 else f"{len(faults)} settings do"
    return f"Alpha Panda does not start: {count} not fit.\n" + "\n".join(f"  - {fault}" for fault in faults)


def _generated(values: Mapping[str, Parsed]) -> dict[str, Parsed]:
    """Missing secrets of embedded mode, made once and kept in RUN_DIR/secrets.json, readable by us only."""
    missing = {setting.name: setting for setting in SETTINGS if setting.required and not values[setting.name]}
    made = generated.secrets_of(Path(str(values["RUN_DIR"])), list(missing))
    return {name: missing[name].kind.parse(text) for name, text in made.items()}


def kafka_bootstrap() -> str:
    """The log's address now: as configured, or as the embedded broker wrote it; raises NoBroker."""
    from django.conf import settings  # settings.py reads this module

    if settings.KAFKA_BOOTSTRAP:
        return str(settings.KAFKA_BOOTSTRAP)
    try:
        return Path(settings.RUN_DIR, KAFKA_ADDRESS).read_text().strip()
    except FileNotFoundError:
        raise NoBroker(
            f"no embedded Kafka broker serves {settings.RUN_DIR}: "
            f"start `manage.py up`, or set {PREFIX}KAFKA_BOOTSTRAP"
        ) from None
