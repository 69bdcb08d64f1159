"""Reading a file of strategies without running it, and loading it under its hash."""

from __future__ import annotations

import pytest

from strategies.domain.base import Strategy
from strategies.domain.codes import Code, DoesNotLoad, described, loaded
from strategies.domain.source import Fault, Offer, read

HEAD = "from strategies.domain.base import Strategy\n"
GOOD = f'{HEAD}class Mine(Strategy):\n    name = "mine"\n    version = "2.1"\n'


def faults(source: str, **options: str) -> list[tuple[int, str]]:
    return [(fault.line, fault.text) for fault in read(source, **options).faults]


def test_a_good_file_offers_its_strategies() -> None:
    reading = read(GOOD + 'class Other(Mine):\n    name: str = "other"\nclass Base(Strategy):\n    pass\n')

    assert reading.offers == (Offer("mine", "2.1", 2), Offer("other", "1", 5))
    assert reading.faults == ()


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import os.path as p",
        "from time import sleep",
        "import random",
        "from socket import socket",
        "import subprocess, math",
        "from datetime import datetime; x = datetime.now()",
        "import threading",
        "import requests",
        "import numpy.random",
        "import numpy as np; x = np.random.rand()",
        "from numpy.random import rand",
        "from django.conf import settings",
        "from strategies.models import Deployment",
        "from alphapanda import env",
        "import strategies.registry",
        "from . import neighbour",
        "x = open('f')",
        "x = eval('1')",
        "x = __import__('os')",
        "print('x')",
        "def f():\n    global x",
        "try:\n    pass\nexcept:\n    pass",
        "try:\n    pass\nexcept (ValueError, BaseException):\n    pass",
    ],
)
def test_what_cannot_be_pure_is_refused_by_its_line(line: str) -> None:
    (found,) = faults(f"{GOOD}\n\n{line}\n")

    assert found[0] in (6, 7, 8, 9)
    assert found[1].split()[0] in {"imports", "calls", "uses", "remembers", "catches"}


@pytest.mark.parametrize(
    "line",
    [
        "import math, statistics, datetime",
        "from decimal import Decimal",
        "import numpy as np; x = np.zeros(3)",
        "import msgspec, talib",
        "from strategies.domain.indicators import Ema",
        "from strategies.domain import indicators",
        "from marketdata.domain.bars import Bar",
        "from alphapanda.core.vocabulary import Side",
        "try:\n    pass\nexcept ValueError:\n    pass",
    ],
)
def test_what_only_computes_may_be_used(line: str) -> None:
    assert faults(f"{GOOD}{line}\n") == []


def test_a_package_may_use_itself_and_its_neighbours() -> None:
    assert faults(f"{GOOD}from mine.tools import f\nfrom . import g\n", may_import="mine") == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n", (0, "has no strategy")),
        ("class A(:\n", (1, "is no Python")),
        ("x = '\0'\n", (0, "is no Python")),
        (GOOD + GOOD, (6, "already above")),
        (GOOD.replace('"mine"', '"My Own"'), (2, "small letters")),
        (GOOD.replace('"2.1"', '"2 1"'), (2, "1 to 20 letters")),
    ],
)
def test_other_faults_have_their_line(source: str, expected: tuple[int, str]) -> None:
    (found,) = faults(source)

    assert found[0] == expected[0]
    assert expected[1] in found[1]


def test_two_texts_of_one_file_live_beside_each_other() -> None:
    first, second = (Code("f/mine.py", GOOD + f"    x = {n}\n", "folder f") for n in (1, 2))

    old, new = loaded(first, "mine"), loaded(second, "mine")

    assert (old.x, new.x) == (1, 2)  # type: ignore[attr-defined]
    assert loaded(first, "mine") is old
    assert issubclass(old, Strategy)


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("    x = 1 / 0\n", 5, "ZeroDivisionError"),
        ("raise SystemExit\n", 5, "SystemExit"),
        ("import no_such_package\n", 5, "no_such_package"),
    ],
)
def test_a_file_that_does_not_import_is_told_by_line(body: str, line: int, said: str) -> None:
    with pytest.raises(DoesNotLoad, match=said) as error:
        loaded(Code("f/mine.py", GOOD + body, "folder f"), "mine")

    assert error.value.fault.line == line
    assert str(error.value).startswith(f"f/mine.py:{line}: does not import")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "class State:\n        def __init__(self):\n            self.x = object()\n",
            "State is a class of msgspec.Struct",
        ),
        ("class State(msgspec.Struct):\n        x: object = object()\n", "State cannot be stored: x: "),
        (
            "class State(msgspec.Struct):\n        x: float = None\n",
            "could not be taken up again: Expected `float`, got `null`",
        ),
        ("class Params:\n        size: int = 3\n", "Params is a class of msgspec.Struct"),
    ],
)
def test_a_state_that_cannot_be_stored_is_refused(body: str, said: str) -> None:
    with pytest.raises(DoesNotLoad, match=said):
        described(
            Code("f/mine.py", "import msgspec\n" + GOOD + f"    {body}", "folder f"), Offer("mine", "2.1", 2)
        )


def test_a_version_that_is_not_what_was_read_is_refused() -> None:
    code = Code("f/mine.py", GOOD + 'Mine.version = "3"\n', "folder f")

    with pytest.raises(DoesNotLoad) as error:
        described(code, Offer("mine", "2.1", 2))
    assert error.value.fault == Fault(2, "the version must stand as a text in the body of mine")
