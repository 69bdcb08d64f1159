"""Failpoints: nothing when off, one SIGKILL when armed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alphapanda import env, failpoints

NAME = "risk.before_commit"


def run(folder: Path | str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; from alphapanda import failpoints; failpoints.hit({NAME!r}); "
    return subprocess.run(
        [sys.executable, "-c", program + "print('alive', 'django' in sys.modules)"],
        env={"ALPHAPANDA_FAILPOINT_DIR": str(folder)},
        cwd=env.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_armed_one_kills_once(tmp_path: Path) -> None:
    failpoints.arm(NAME, folder=tmp_path)

    assert run(tmp_path).returncode == -signal.SIGKILL
    assert run(tmp_path).stdout == "alive False\n"


def test_it_does_nothing_when_off() -> None:
    assert run("").stdout == "alive False\n"


def test_every_name_is_hit_at_one_place_and_every_hit_has_a_name() -> None:
    code = [
        path for path in env.ROOT.glob("[a-z]*/**/*.py") if path.relative_to(env.ROOT).parts[0] != "tests"
    ]
    hits = [name for path in code for name in re.findall(r"failpoints\.hit\((.+?)\)", path.read_text())]

    assert sorted(hits) == sorted(f'"{name}"' for name in failpoints.NAMES)


def test_an_unknown_name_raises(tmp_path: Path) -> None:
    with pytest.raises(failpoints.UnknownFailpoint):
        failpoints.hit("risk.somewhere")
    with pytest.raises(failpoints.UnknownFailpoint):
        failpoints.arm("risk.somewhere", folder=tmp_path)
