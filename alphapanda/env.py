"""The environment, read once and strictly: a name or a value that does not fit refuses to start."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from alphapanda.embedded import generated
from alphapanda.embedded.places import KAFKA_ADDRESS

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ALPHAPANDA_"
SHARDS_MAX = 64

Parsed = str | int | float | bool | Path | list[str] | list[Path]


class Misconfigured(ImproperlyConfigured):
    """The environment does not fit; the message lists every fault."""


class NoBroker(RuntimeError):
    """The embedded log has no address: nothing serves it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a text becomes a value; `parse` raises ValueError where it does not fit `expected`."""

    expected: str
    parse: Callable[[str], Parsed]


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


BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


def _bool(text: str) -> bool:
    try:
        return BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _path(text: str) -> Path:
    return (ROOT / Path(text).expanduser()).resolve()


def _paths(text: str) -> list[Path]:
    return [_path(item) for item in _items(text)]


def _speed(text: str) -> float:
    """`max` is infinity: as fast as the tick stream follows."""
    speed = float("inf") if text == "max" else float(text)
    if not speed > 0:
        raise ValueError(text)
    return speed


def _topic_prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", text):
        raise ValueError(text)
    return text


def _origins(text: str) -> list[str]:
    """As browsers write them: a path, a slash or the port of the scheme would never be met."""
    origin = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
    found = [origin.fullmatch(item) for item in _items(text)]
    if any(one is None or (one[1], one[3]) in (("http", ":80"), ("https", ":443")) for one in found):
        raise ValueError(text)
    return _items(text)


def _host(text: str) -> str:
    label = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
    if re.fullmatch(r"[0-9.]*", text):
        return str(IPv4Address(text))
    if not re.fullmatch(rf"{label}(\.{label})*", text):
        raise ValueError(text)
    return text


def whole(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return Kind(f"a whole number from {low} to {high}", parse)


def one_of(*words: str) -> Kind:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind("one of " + ", ".join(words), parse)


def some_of(*words: str) -> Kind:
    def parse(text: str) -> list[str]:
        items = _items(text)
        if not items or not set(items) <= set(words):
            raise ValueError(text)
        return items

    return Kind("one or more of " + ", ".join(words) + ", separated by commas", parse)


def address(*schemes: str) -> Kind:
    def parse(text: str) -> str:
        if text and text.partition("://")[0] not in schemes:
            raise ValueError(text)
        _ = urlsplit(text).port  # raises ValueError for one that is no number or too high
        return text

    return Kind("empty or " + " or ".join(f"{scheme}://..." for scheme in schemes), parse)


def at_least(length: int) -> Kind:
    def parse(text: str) -> str:
        if text and len(text) < length:
            raise ValueError(text)
        return text

    return Kind(f"at least {length} characters", parse)


BOOL = Kind("true or false (also 1/0, yes/no, on/off)", _bool)
TEXT = Kind("a text", str)
ITEMS = Kind("a list separated by commas", _items)
PATH = Kind("a path", _path)
PATHS = Kind("paths separated by commas", _paths)
SPEED = Kind("a factor above 0, or max", _speed)
ORIGINS = Kind("origins such as https://panda.example.org, without a slash at the end", _origins)
HOST = Kind("an IPv4 address or a host name", _host)
TOPIC = Kind("letters, digits, dots, dashes and underscores", _topic_prefix)

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
    Setting("FEED", one_of("none", "recorded"), "recorded", "where ticks come from"),
    Setting("FEED_SPEED", SPEED, "60", "pace of a recorded feed: a factor of real time, or max"),
    Setting("FEED_FILES", PATHS, "", "files of a recorded feed; empty: the session that ships"),
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
        "send orders to Zerodha; needs LIVE_TRADING and credentials; refused while that broker is not built",
    ),
    Setting("LIVE_TRADING", BOOL, "false", "the explicit switch for real money"),
    Setting("ZERODHA_API_KEY", TEXT, "", "Kite Connect API key", secret=True),
    Setting("ZERODHA_API_SECRET", TEXT, "", "Kite Connect API secret", secret=True),
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
    return values


def unusable(run_dir: Path, error: OSError) -> str:
    """Why a folder is no RUN_DIR."""
    return f"{PREFIX}RUN_DIR is {str(run_dir)!r}; expected a folder to write to: {error.strerror}"


def is_embedded(values: Mapping[str, Parsed]) -> bool:
    """True where the database is our own: secrets then live beside the data that they protect."""
    return not values["DATABASE_URL"]


def secret_values(values: Mapping[str, Parsed]) -> list[str]:
    """What no log may show: the secrets, and of an address its password, as it is written there and as it is meant."""
    texts = [str(values[setting.name]) for setting in SETTINGS if setting.secret]
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
            f"{PREFIX}BROKERS does not name paper; expected paper or paper,zerodha: no other broker is built yet"
        )
    return faults + (_live(values) if values["ZERODHA_ENABLED"] else [])


def _live(values: Mapping[str, Parsed]) -> list[str]:
    because = f"because {PREFIX}ZERODHA_ENABLED is true"
    # the conditions hold already; when the broker is there, only this refusal goes
    faults = [
        f"{PREFIX}ZERODHA_ENABLED is true; expected false: this version has no broker that sends orders to Zerodha"
    ]
    if not values["LIVE_TRADING"]:
        faults.append(
            f"{PREFIX}LIVE_TRADING is false; expected true, {because}: real money needs both switches"
        )
    if "zerodha" not in values["BROKERS"]:  # type: ignore[operator]
        faults.append(f"{PREFIX}BROKERS does not name zerodha; expected paper,zerodha, {because}")
    faults += [
        f"{PREFIX}{name} is missing; expected the app's value from Kite Connect, {because}"
        for name in ("ZERODHA_API_KEY", "ZERODHA_API_SECRET")
        if not values[name]
    ]
    return faults


def _message(faults: list[str]) -> str:
    count = "one setting does" if len(faults) == 1 else f"{len(faults)} settings do"
    return f"Alpha Panda does not start: {count} not fit.\n" + "\n".join(f"  - {fault}" for fault in faults)


def _generated(values: Mapping[str, Parsed]) -> dict[str, Parsed]:
    """Missing secrets of embedded mode, made once and kept in RUN_DIR/secrets.json, readable by us only."""
    missing = [setting.name for setting in SETTINGS if setting.required and not values[setting.name]]
    return dict(generated.secrets_of(Path(str(values["RUN_DIR"])), missing))


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
