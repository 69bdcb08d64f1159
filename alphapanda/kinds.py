"""How a text of the environment becomes a value: each kind says what it expects, and refuses all else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent  # what a relative path is relative to
KEY_LENGTH_MIN = 43  # of what is made of 256 random bits

Parsed = str | int | float | bool | Path | list[str] | list[Path]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a text becomes a value; `parse` raises ValueError where it does not fit `expected`."""

    expected: str
    parse: Callable[[str], Parsed]


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


def over_tls(scheme: str, *, has_path: bool) -> Kind:
    """An address that secrets are sent to: encrypted, but for a simulator on this machine."""
    plain = {"https": "http", "wss": "ws"}[scheme]

    def parse(text: str) -> str:
        parts = urlsplit(text)
        is_kept_secret = parts.scheme == scheme or (parts.scheme == plain and is_here(parts.hostname))
        is_bare = not (parts.username or parts.query or parts.fragment or (parts.path and not has_path))
        _ = parts.port  # raises ValueError for one that is no number or too high
        if not (is_kept_secret and is_bare and parts.hostname):
            raise ValueError(text)
        return text

    path = "/path" if has_path else ""
    return Kind(f"{scheme}://host{path}, or {plain}:// on this machine", parse)


def is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def at_least(length: int) -> Kind:
    def parse(text: str) -> str:
        if text and len(text) < length:
            raise ValueError(text)
        return text

    return Kind(f"at least {length} characters", parse)


def _keys(text: str) -> list[str]:
    keys = _items(text)
    if any(len(key) < KEY_LENGTH_MIN for key in keys) or len(set(keys)) < len(keys):
        raise ValueError(text)
    return keys


BOOL = Kind("true or false (also 1/0, yes/no, on/off)", _bool)
TEXT = Kind("a text", str)
ITEMS = Kind("a list separated by commas", _items)
PATH = Kind("a path", _path)
PATHS = Kind("paths separated by commas", _paths)
SPEED = Kind("a factor above 0, or max", _speed)
ORIGINS = Kind("origins such as https://panda.example.org, without a slash at the end", _origins)
HOST = Kind("an IPv4 address or a host name", _host)
KEYS = Kind(f"different keys of at least {KEY_LENGTH_MIN} characters, the newest first", _keys)
TOPIC = Kind("letters, digits, dots, dashes and underscores", _topic_prefix)
