"""The house keeps its rules, and each rule can tell when it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tidy

ROOT = Path(__file__).resolve().parent.parent
Rule = Callable[[Path], Iterator[str]]

# a small house in order, into which each fault is planted
HOUSE = {
    "README.md": "ALPHAPANDA_PORT\n",
    "manage.py": "import alphapanda.wiring\n",
    "alphapanda/__init__.py": "",
    "alphapanda/env.py": 'PORT = Setting("PORT", 1)\n',
    "alphapanda/wiring.py": "from alphapanda import env\nfrom marketdata import feed\n",
    "marketdata/__init__.py": "",
    "marketdata/feed.py": "from marketdata.domain import ticks\n",
    "marketdata/domain/__init__.py": "",
    "marketdata/domain/ticks.py": "from datetime import time\n",
}
LONG_BODY = "    x = 1\n" * 60
FAULTS: list[tuple[Rule, str, str]] = [
    (tidy.imports_point_down, "marketdata/feed.py", "from alphapanda import wiring\n"),
    (
        tidy.imports_point_down,
        "marketdata/feed.py",
        "def late():\n    from strategies.models import Signal\n",
    ),
    (tidy.imports_point_down, "marketdata/feed.py", "from accounts import services\n"),
    (tidy.imports_point_down, "elsewhere.py", ""),
    (tidy.imports_point_down, "alphapanda/core/__init__.py", "from .. import wiring\n"),
    (tidy.imports_point_down, "alphapanda/core/ids.py", "from ..wiring import start\n"),
    (tidy.imports_point_down, "alphapanda/env.py", "from . import wiring\nSetting('PORT', 1)\n"),
    (tidy.imports_point_down, "alphapanda/env.py", "from .wiring import start\nSetting('PORT', 1)\n"),
    (
        tidy.imports_point_down,
        "marketdata/feed.py",
        "import importlib\nx = importlib.import_module('strategies.models')\n",
    ),
    (tidy.imports_point_down, "marketdata/feed.py", "x = __import__('strategies')\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "from .. import feed\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import sqlite3\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import http.client\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import signal\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "from numpy.random import default_rng\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import numpy as np\nx = np.random.default_rng()\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import time\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "from django.utils import timezone\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "from uuid import uuid4\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "from marketdata import feed\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "import datetime\nx = datetime.datetime.now()\n"),
    (tidy.domain_is_pure, "marketdata/domain/ticks.py", "x = open('ticks')\n"),
    (tidy.domain_needs_no_framework, "marketdata/domain/ticks.py", "import django\n"),
    (tidy.domain_needs_no_framework, "marketdata/domain/ticks.py", "import nowhere_to_be_found\n"),
    (tidy.one_kafka_client, "marketdata/feed.py", "from confluent_kafka import Producer\n"),
    (tidy.functions_are_short, "marketdata/feed.py", f"def long():\n{LONG_BODY}"),
    (tidy.files_are_short, "marketdata/feed.py", "x = 1\n" * 401),
    (tidy.nothing_is_printed, "marketdata/feed.py", "print('ticks')\n"),
    (tidy.no_except_is_bare, "marketdata/feed.py", "try:\n    x = 1\nexcept:\n    x = 2\n"),
    (tidy.no_notes_are_left, "marketdata/feed.py", "x = 1  # FIX" + "ME later\n"),
    (tidy.no_notes_are_left, "README.md", "ALPHAPANDA_PORT TO" + "DO\n"),
    (tidy.no_paths_of_a_machine, "marketdata/feed.py", "x = '/ho" + "me/alice/ticks'\n"),
    (tidy.every_module_is_used, "marketdata/forgotten.py", "x = 1\n"),
    (tidy.settings_are_in_the_readme, "alphapanda/env.py", 'Setting("PORT", 1)\nSetting("HOST", 1)\n'),
    (tidy.settings_are_in_the_readme, "marketdata/feed.py", "x = 'ALPHAPANDA_SPEED'\n"),
    (tidy.texts_are_shown_as_they_are, "marketdata/feed.py", "x = Console(markup=True)\n"),
    (tidy.texts_are_shown_as_they_are, "marketdata/feed.py", "x = Text.from_markup('[red]1[/]')\n"),
    (tidy.texts_are_shown_as_they_are, "marketdata/feed.py", "x = Live(table, screen=True)\n"),
    (tidy.channels_are_named, "marketdata/feed.py", "import structlog\nx = structlog.get_logger('mine')\n"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for path, text in HOUSE.items():
        plant(tmp_path, path, text)
    return tmp_path


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize("rule", tidy.RULES, ids=lambda rule: rule.__name__)
def test_our_house_is_in_order(rule: Rule) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize("rule", tidy.RULES, ids=lambda rule: rule.__name__)
def test_a_house_in_order_is_left_alone(rule: Rule, house: Path) -> None:
    assert list(rule(house)) == []


@pytest.mark.parametrize(("rule", "path", "text"), FAULTS, ids=lambda part: getattr(part, "__name__", None))
def test_a_planted_fault_is_found(rule: Rule, path: str, text: str, house: Path) -> None:
    plant(house, path, text)

    assert len(list(rule(house))) == 1


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule for rule, _, _ in FAULTS} == set(tidy.RULES)
