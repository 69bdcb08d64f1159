"""Logging: one line per event, keys and values, ids bound by context, no secret in it, whatever wrote it."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

CHANNELS = ("application", "trading", "market_data", "api", "audit", "performance", "error")
REDACTED = "[redacted]"
SECRET_KEY = re.compile(
    r"passw(or)?d|pwd|passphrase|private[_-]?key|secret|token|jwt|api[_-]?key|authorization|cookie|session[_-]?id|checksum"
    r"|signature|credential",
    re.IGNORECASE,
)
HARMLESS_KEY = re.compile(r"(instrument|csrf_failure)_?tokens?", re.IGNORECASE)  # an instrument's number
# `key=value`, `"key": "value"`, `Authorization: Bearer value` and `token key:value` inside free text
SECRET_TEXT = re.compile(
    r"(?i)\b([\w-]*(?:password|passwd|pwd|passphrase|private[_-]?key|session[_-]?id|secret|(?:access|request|refresh|public)[_-]token|enctoken|csrf_?token|api[_-]?key"
    r"|authorization|checksum))(\"?'?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|(?:bearer|token|basic)\s+[^\s,;&]+|[^\s,;&}]+)"
)
BEARER = re.compile(r"(?i)\b(bearer|token|basic)(\s+)(?=[^\s,;]*[\d:.])[A-Za-z0-9._~+/:=-]{16,}")
# what shows by its shape alone: a JWT, a private key, the password in an address
JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
ADDRESS = re.compile(r"(://[^\s:/@]*:)[^\s/@]+(?=@)")
# and a token of Kite's, 32 letters and digits: ids of 32 have no capitals, or are in hexadecimal
KITE_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{32}(?![A-Za-z0-9])"
)
API_KEY = re.compile(r"\bapk_[\w-]{20,}")  # ours: accounts.keys
SHAPED = re.compile(
    r"[\s=:]|eyJ|apk_|\A[A-Za-z0-9]{32}\Z"
)  # in whatever one of the shapes above can be: most values of a line are plain ids
SHORTEST_SECRET = 6  # a shorter value would redact ordinary words


def channel(name: str) -> Any:
    """The bound logger of a channel: application, trading, market_data, api, audit, performance or error."""
    if name not in CHANNELS:
        raise ValueError(f"no log channel {name!r}; one of {', '.join(CHANNELS)}")
    return structlog.stdlib.get_logger(f"alphapanda.{name}")


def warnings_only(name: str) -> None:
    """Leave out what is less than a warning in a channel, for the rest of this process."""
    logging.getLogger(f"alphapanda.{name}").setLevel(logging.WARNING)


def without_secrets(text: str) -> str:
    """A text without what looks like a secret in it."""
    if not SHAPED.search(text):
        return text
    text = ADDRESS.sub(rf"\1{REDACTED}", without_shapes(text))
    return BEARER.sub(rf"\1\2{REDACTED}", SECRET_TEXT.sub(rf"\1\2{REDACTED}", text))


def without_shapes(text: str) -> str:
    """A text without what shows by its shape alone to be a secret: keys, and tokens that nothing names."""
    for shape in (PRIVATE_KEY, JWT, KITE_TOKEN, API_KEY):
        text = shape.sub(REDACTED, text)
    return text


@lru_cache(maxsize=4_096)  # lines use the same few names again and again
def _is_secret_key(key: str) -> bool:
    return bool(SECRET_KEY.search(key) and not HARMLESS_KEY.fullmatch(key))


class Redaction:
    """The processor that takes secrets out: by key, by known value, and by shape inside texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)
        self.known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: self.clean(value, key) for key, value in event.items()}

    def clean(self, value: Any, key: str = "") -> Any:
        """The value without secrets; containers are walked, other objects are shown as their cleaned repr."""
        if _is_secret_key(key):
            return REDACTED
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(k): self.clean(v, str(k)) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        if isinstance(value, bytes):
            return self.text(value.decode(errors="replace"))
        return self.text(str(value))

    def text(self, text: str) -> str:
        return without_secrets(self.known.sub(REDACTED, text) if self.known else text)


_in_force: list[Redaction] = []  # the one of `configure`


def redacted(value: Any) -> Any:
    """What was written without these rules, or before a secret was known, as a line of the log would show it now."""
    return (_in_force[0] if _in_force else Redaction(())).clean(value)


def configure(*, style: str, level: str, error_file: Path, secrets: Iterable[str]) -> None:
    """Send structlog and stdlib logging through the same processors; errors also go to `error_file`."""
    shared = _shared_processors()
    # a traceback becomes text before redaction, so that a secret inside it goes too
    _in_force[:] = [Redaction(secrets)]
    last = [structlog.processors.format_exc_info, *_in_force]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    render = structlog.processors.JSONRenderer()
    shown = render if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "shown": _formatter(shared, [*last, shown]),
                "json": _formatter(shared, [*last, render]),
            },
            "handlers": {
                "console": {"class": "logging.StreamHandler", "formatter": "shown"},
                "errors": _error_handler(error_file),
                "nowhere": {"class": "logging.NullHandler"},
            },
            "root": {"handlers": ["console", "errors"], "level": level},
            "loggers": _quieter(),
        }
    )


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(foreign: list[Processor], last: list[Any]) -> dict[str, Any]:
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": foreign,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    }


def _error_handler(path: Path) -> dict[str, Any]:
    return {
        "class": "alphapanda.logs.ErrorFile",
        "filename": str(path),
        "level": "ERROR",
        "formatter": "json",
        "delay": True,
    }


class ErrorFile(logging.FileHandler):
    """A file made, with its folder, on the first error; every process appends whole lines."""

    def _open(self) -> Any:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


def _quieter() -> dict[str, Any]:
    """Libraries that tell of every connection, or of the addresses that they call, which hold tokens."""
    told = {name: {"level": "WARNING"} for name in ("daphne", "twisted", "kombu", "celery", "asyncio")}
    silent = {"handlers": ["nowhere"], "propagate": False, "level": "WARNING"}
    return told | {
        "channels_redis": {"level": "INFO"},
        "urllib3": {"level": "ERROR"},  # a warning of headers that it cannot read has the whole address
        **dict.fromkeys(("apprise", "oauthlib", "requests_oauthlib"), silent),
    }
