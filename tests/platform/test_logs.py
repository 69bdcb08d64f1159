"""Nothing that is secret comes out of a log, whatever wrote the line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alphapanda import env, logs

CANARY = "canary-4f1c9a7e2b"
PROGRAM = """
import logging, sys
from pathlib import Path
import structlog
from alphapanda import logs

style, folder, canary = sys.argv[1:]
logs.configure(style=style, level="DEBUG", error_file=Path(folder, "logs", "error.log"), secrets=[canary])
log = logs.channel("trading").bind(correlation_id="c-1")
structlog.contextvars.bind_contextvars(deployment="d-1")
log.info("execution.order.submitted", quantity=5, instrument_token=408065)
log.info("known value", note=f"the value is {canary} here", nested={"list": [canary, {"x": canary}]})
log.info("by key", password="unknown-1", api_key="unknown-2")
log.info("by key", headers={"Authorization": "token unknown-3"})
log.info("by key", access_token="unknown-4", request_token="unknown-5", checksum="unknown-6")
log.info('in text {"access_token": "unknown-7"} and password=unknown-8&x=1')
headers = {"Authorization": "token abcdef0123456789:unknown-9abcdef"}
logging.getLogger("kiteconnect").debug("Headers %s", headers)
logging.getLogger("any").warning("url ?api_key=unknown-10&v=3 %s", canary)
logging.getLogger("any").warning("object %s", type("Thing", (), {"__str__": lambda self: canary})())
log.info("by key", pwd="unknown-12", passphrase="unknown-13", private_key="unknown-14", sessionid="unknown-15")
log.info("in text pwd=unknown-16, passphrase: unknown-17; sessionid=unknown-18")
log.info("eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ1bmtub3duLTE5In0.unknown-19", raw="redis://:unknown-20@host:6379/0")
log.info("-----BEGIN RSA PRIVATE KEY-----\\nunknown-21\\nunknown-22\\n-----END RSA PRIVATE KEY----- ends")
try:
    raise ValueError(f"refused {canary} secret=unknown-11")
except ValueError:
    log.exception("failed")
    logging.getLogger("any").exception("failed too")
"""


@pytest.fixture(scope="module", params=["json", "console"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """The style, what came out on the console, and the error file."""
    folder = tmp_path_factory.mktemp("logs")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, request.param, str(folder), CANARY],
        capture_output=True,
        text=True,
        check=True,
        cwd=env.ROOT,
    )
    return request.param, run.stdout + run.stderr, Path(folder, "logs", "error.log").read_text()


def test_no_canary_comes_out(written: tuple[str, str, str]) -> None:
    _, console, errors = written

    assert CANARY not in console + errors
    assert "unknown-" not in console + errors
    assert logs.REDACTED in console


def test_addresses_come_out_without_their_password() -> None:
    assert logs.without_secrets("amqp://me:p%40ss@host:5672/a see https://host:80/@x") == (
        "amqp://me:[redacted]@host:5672/a see https://host:80/@x"
    )


@pytest.mark.parametrize(
    "name", ["X-Api-Key", "access-token", "request-token", "session-id", "private-key", "csrftoken"]
)
def test_names_of_secrets_count_in_the_spelling_of_headers_too(name: str) -> None:
    redact = logs.Redaction([])

    assert logs.without_secrets(f"GET / {name}: {CANARY}") == f"GET / {name}: [redacted]"
    assert redact.clean({name: CANARY}) == {name: logs.REDACTED}


def test_what_is_no_secret_comes_out_with_its_ids(written: tuple[str, str, str]) -> None:
    style, console, _ = written

    first = console.splitlines()[0]

    assert "408065" in first
    if style == "json":
        line = json.loads(first)
        assert (line["event"], line["logger"]) == ("execution.order.submitted", "alphapanda.trading")
        assert (line["correlation_id"], line["deployment"], line["level"]) == ("c-1", "d-1", "info")


def test_errors_also_go_to_a_file_as_json(written: tuple[str, str, str]) -> None:
    _, _, errors = written

    lines = [json.loads(line) for line in errors.splitlines()]

    assert [line["logger"] for line in lines] == ["alphapanda.trading", "any"]
    assert all("ValueError: refused [redacted]" in line["exception"] for line in lines)


def test_a_channel_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no log channel"):
        logs.channel("gossip")


def test_the_secrets_of_the_settings_are_known_to_the_log(settings: object) -> None:
    from django.conf import settings as live

    redact = logs.Redaction([live.SECRET_KEY, live.SIMPLE_JWT["SIGNING_KEY"]])

    assert live.SECRET_KEY not in str(redact(None, "info", {"event": f"key {live.SECRET_KEY}"}))
