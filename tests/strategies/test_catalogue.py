"""A user's own strategies: dropped into the folder, listed, changed, taken away; faulty files cost only themselves."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, DeploymentStatus
from alphapanda.deploying import BadDefinition, Definition
from strategies import loading, registry
from strategies.domain.base import UnknownStrategy
from strategies.domain.codes import DoesNotLoad
from strategies.models import Deployment, StrategyFile, StrategyVersion
from strategies.services import catalogue
from strategies.services.catalogue import catalogue_refresh, version_installed
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db
CODE = """import msgspec
from strategies.domain.base import Strategy


class Mine(Strategy):
    name = "mine"
    title = "My own"
    size = 1

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 5
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(settings.STRATEGIES)
    path.mkdir(exist_ok=True)
    yield path
    for file in path.glob("*.py"):
        file.unlink()


def write(folder: Path, code: str = CODE, name: str = "mine.py") -> Path:
    path = folder / name
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(code)
    os.utime(
        path, ns=(before + 1_000_000, before + 1_000_000)
    )  # two writes within a tick of the clock differ
    return path


def seen() -> dict[str, list[dict[str, Any]]]:
    """The faults of each own file, as listed."""
    return {Path(row.file).name: row.faults for row in catalogue_refresh() if row.origin.startswith("folder")}


def deployed(name: str = "one") -> Deployment:
    definition = Definition(name=name, strategy="mine", instruments=(str(an_instrument()),))
    portfolio_id = deploying.portfolio_of(Broker.PAPER, starting_cash=Decimal(1))
    return deploying.create(definition, portfolio_id=portfolio_id, status=DeploymentStatus.STOPPED)


def test_what_ships_is_listed_with_its_hash() -> None:
    catalogue_refresh()

    version = StrategyVersion.objects.get(strategy__name="ema_cross")
    assert (version.file, version.origin, version.is_installed) == ("ema_cross.py", "shipped", True)
    assert version.source_hash == registry.source_hash("ema_cross")
    assert version.schema["$defs"]["Params"]["properties"]["fast"]["minimum"] == 1
    assert loading.strategy_class_of(version) is registry.find("ema_cross")


def test_a_file_dropped_into_the_folder_is_there_at_once(folder: Path) -> None:
    assert "mine" not in registry.names()
    write(folder)

    assert seen() == {"mine.py": []}
    version = StrategyVersion.objects.get(strategy__name="mine")
    assert (version.strategy.title, version.version, version.is_installed) == ("My own", "1", True)
    assert registry.find("mine").title == "My own"
    assert "own_strategies.mine" not in sys.modules


def test_a_deployment_keeps_the_code_that_it_was_made_with(folder: Path) -> None:
    write(folder)
    first = deployed("first")
    write(folder, CODE.replace("size = 1", "size = 2"))
    catalogue_refresh()
    second = deployed("second")
    (folder / "mine.py").unlink()
    catalogue_refresh()

    rows = Deployment.objects.select_related("strategy_version__strategy").order_by("name")
    classes = [loading.strategy_class_of(row.strategy_version) for row in rows]
    assert [found.size for found in classes] == [1, 2]  # type: ignore[attr-defined]
    assert first.strategy_version.version == second.strategy_version.version == "1"
    assert not StrategyVersion.objects.filter(strategy__name="mine", is_installed=True).exists()
    with pytest.raises(BadDefinition, match="no strategy is called 'mine'"):
        deployed("third")


def test_a_file_that_comes_back_is_installed_again(folder: Path) -> None:
    write(folder)
    catalogue_refresh()
    write(folder, CODE.replace("size = 1", "size = 2"))
    catalogue_refresh()
    write(folder)
    catalogue_refresh()

    found = StrategyVersion.objects.filter(strategy__name="mine").order_by("id")
    assert [row.is_installed for row in found] == [True, False]


def test_a_text_that_is_not_that_of_its_hash_is_not_run(folder: Path) -> None:
    write(folder)
    version = version_installed("mine")
    version.source = CODE.replace("size = 1", "size = 2")

    with pytest.raises(UnknownStrategy, match="not that of its hash"):
        loading.strategy_class_of(version)


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("import os\n" + CODE, 1, "imports os"),
        (CODE + "    def on_tick(self, state, tick, view)\n", 12, "is no Python"),
        (CODE + "raise RuntimeError('no')\n", 12, "does not import: RuntimeError: no"),
        (CODE + "import nowhere_to_be_found\n", 12, "nowhere_to_be_found"),
        (CODE.replace('"mine"', '"ema_cross"'), 5, "already in ema_cross.py"),
        (CODE + "while True:\n    pass\n", 0, "within 1 s"),
        (CODE + "import itertools\nsum(itertools.repeat(1))\n", 0, "crashed, or took longer"),
    ],
)
def test_a_faulty_file_is_told_by_line_and_costs_only_itself(
    folder: Path, settings: Any, code: str, line: int, said: str
) -> None:
    settings.STRATEGY_SECONDS = 1
    write(folder, code, "bad.py")
    write(folder, CODE.replace('"mine"', '"fine"'), "fine.py")

    found = seen()

    assert found["fine.py"] == []
    (fault,) = found["bad.py"]
    assert fault["line"] == line
    assert said in fault["text"]
    assert "fine" in registry.names()
    out = io.StringIO()
    call_command("strategies", stdout=out)
    assert f"bad.py:{line}: " in out.getvalue()
    assert "fine" in out.getvalue()


def test_a_file_that_failed_is_tried_again_when_it_changes_or_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    real = catalogue.tried
    monkeypatch.setattr(catalogue, "tried", lambda *a, **k: tries.append(len(a[0])) or real(*a, **k))
    write(folder, CODE + "1 / 0\n")

    assert seen()["mine.py"]
    assert seen()["mine.py"]
    catalogue_refresh(again=True)
    write(folder, CODE)
    assert not seen()["mine.py"]
    assert not seen()["mine.py"]
    assert [count for count in tries if count] == [1, 1, 1]


def test_two_files_with_one_name(folder: Path) -> None:
    write(folder, CODE, "a.py")
    write(folder, CODE.replace("size = 1", "size = 2"), "b.py")

    found = seen()

    assert found["a.py"] == []
    assert found["b.py"] == [{"line": 5, "text": f"a strategy named 'mine' is already in {folder.name}/a.py"}]
    assert registry.find("mine").size == 1  # type: ignore[attr-defined]


def test_what_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "latin.py").write_bytes("x = 'é'".encode("latin-1"))
    (folder / "large.py").write_text("#" * (registry.BYTES_MAX + 1))
    (folder / "gone.py").symlink_to(folder / "nowhere")
    (folder / "_hidden.py").write_text("import os")

    found = {name: faults[0]["text"] for name, faults in seen().items()}

    assert found.keys() == {"latin.py", "large.py", "gone.py"}
    assert "larger than" in found["large.py"]
    assert "cannot be read" in found["latin.py"]
    assert "cannot be read" in found["gone.py"]


def test_nobody_can_be_asked_for_what_does_not_load(folder: Path) -> None:
    write(folder, CODE + "1 / 0\n")

    with pytest.raises(DoesNotLoad, match=r"mine.py:12: does not import: ZeroDivisionError"):
        version_installed("mine")
    write(folder, "import os\n" + CODE)
    with pytest.raises(UnknownStrategy, match=r"mine.py:1: imports os"):
        registry.find("mine")


def test_a_package_brings_strategies_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "desk_of_alice"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('nobody imports me to look at me')\n")
    (package / "trend.py").write_text(CODE.replace('"mine"', '"alices"'))
    monkeypatch.syspath_prepend(tmp_path)
    registry.names()  # has looked before it comes
    facts = tmp_path / "desk_of_alice-0.3.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-of-alice\nVersion: 0.3\n")
    (facts / "entry_points.txt").write_text("[alphapanda.strategies]\ntrend = desk_of_alice.trend\n")

    catalogue_refresh()

    version = StrategyVersion.objects.get(strategy__name="alices")
    assert (version.file, version.origin) == ("desk_of_alice.trend", "package desk-of-alice 0.3")
    assert StrategyFile.objects.get(file="desk_of_alice.trend").strategies == ["alices"]


def test_the_command_lists_for_scripts(folder: Path) -> None:
    write(folder, "import os\n" + CODE, "bad.py")
    out = io.StringIO()
    call_command("strategies", "--json", stdout=out)
    found = json.loads(out.getvalue())

    assert {"strategy", "version", "hash", "file", "origin", "installed", "deployments"} == set(
        found["strategies"][0]
    )
    assert found["faults"] == [
        {
            "file": f"{folder.name}/bad.py",
            "line": 1,
            "fault": "imports os: a strategy is pure, without clock, files, network or randomness",
        }
    ]


@pytest.mark.parametrize("flags", [["--json"], []])
def test_files_are_looked_at_where_no_database_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any, flags: list[str]
) -> None:
    def unreachable(**_options: Any) -> None:
        raise OperationalError("connection refused")

    write(folder)
    write(folder, "import os\n" + CODE, "bad.py")
    monkeypatch.setattr("strategies.management.commands.strategies.catalogue_refresh", unreachable)
    out = io.StringIO()

    refused = pytest.raises(CommandError, match="looked at the files alone: connection refused")
    with django_assert_num_queries(0), refused:
        call_command("strategies", *flags, stdout=out)

    said = f"{folder.name}/bad.py:1: imports os"
    if flags:
        found = json.loads(out.getvalue())
        assert {"mine", "ema_cross"} <= set(found["loading"])
        assert [f"{row['file']}:{row['line']}: {row['fault']}"[: len(said)] for row in found["faults"]] == [
            said
        ]
    else:
        assert "mine" in out.getvalue()
        assert said in out.getvalue()
