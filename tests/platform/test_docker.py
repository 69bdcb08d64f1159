"""The containers' files, read: nothing here runs them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alphapanda import env, processes

DOCKER = Path(__file__).resolve().parents[2] / "docker"
VERSION = re.compile(r":v?\d+\.\d+[\w.-]*$")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]


def roles_of(services: dict[str, Any]) -> list[str]:
    commands = [service["command"] for service in services.values() if "build" in service]
    return [command[2] for command in commands if command[:2] == ["up", "--only"]]


@pytest.mark.parametrize("is_live", [False, True])
def test_every_role_has_one_service(services: dict[str, Any], settings: Any, is_live: bool) -> None:
    settings.ZERODHA_ENABLED = is_live
    started = {name: one for name, one in services.items() if is_live or "profiles" not in one}

    assert sorted(roles_of(started)) == sorted(role.name for role in processes.table())


def test_every_role_waits_until_the_house_is_ready(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" in service and name != "setup":
            assert service["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}
    assert set(services["setup"]["depends_on"]) == {"postgres", "redis", "redpanda"}


def test_every_image_has_a_version(services: dict[str, Any]) -> None:
    bases = re.findall(r"^FROM (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    images = [service["image"] for service in services.values()]

    assert [image for image in images + bases if not VERSION.search(image)] == []


def test_only_known_settings_are_set(services: dict[str, Any]) -> None:
    names = {name for name in services["web"]["environment"] if name.startswith(env.PREFIX)}
    names |= set(re.findall(r"ALPHAPANDA_\w+", (DOCKER / "Dockerfile").read_text()))

    assert names <= env.BY_VARIABLE.keys()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "BROKERS",
            "ZERODHA_ENABLED",
            "LIVE_TRADING",
            "FEED",
            "FEED_INSTRUMENTS",
            "KITE_BCD_DIVISOR",
            "KITE_ARCHIVE",
        ),
        *("START_OF_DAY_REQUIRED", "ALERT_PAUSES_MINUTES", "LEASE_SECONDS"),
    ],
)
def test_what_decides_on_live_trading_comes_from_the_operators_file(
    services: dict[str, Any], name: str
) -> None:
    """What is not handed on here reaches no container, whatever the file says; empty is the default."""
    variable = env.PREFIX + name
    for role in ("web", "broker", "beat"):
        given = services[role]["environment"].get(variable, "")
        assert given.startswith(f"${{{variable}:-"), given


def test_what_was_acknowledged_is_on_disk(services: dict[str, Any]) -> None:
    redpanda, postgres = services["redpanda"]["command"], services["postgres"]["command"]
    cluster = yaml.safe_load((DOCKER / "redpanda-bootstrap.yaml").read_text())

    assert "--unsafe-bypass-fsync=false" in redpanda
    assert "--set=redpanda.developer_mode=false" in redpanda
    assert not any("dev-container" in word for word in redpanda)
    assert cluster["write_caching_default"] == "disabled"
    assert {"fsync=on", "synchronous_commit=on"} <= set(postgres)


def test_the_image_runs_as_nobody_special_from_the_lock() -> None:
    text = (DOCKER / "Dockerfile").read_text()

    assert "--require-hashes" in text
    assert text.index("pip install") < text.rindex("USER panda") < text.index("ENTRYPOINT")
