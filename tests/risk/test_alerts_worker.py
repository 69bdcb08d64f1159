"""The role `alerts` as `manage.py up` runs it: rung for by a command of another process, it sends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from alphapanda.stack import ROOT, Stack
from tests.risk.hearing import service


def test_the_worker_sends_what_another_process_rings_for(tmp_path: Path) -> None:
    with service() as there, Stack(tmp_path, roles=("alerts",)) as stack:
        added = _manage(stack, "add", "desk", typed=there.address)
        tried = _manage(stack, "test", "desk", "--json")
        there.status = 401
        refused = _manage(stack, "test", "desk")

    assert (added.returncode, tried.returncode, refused.returncode) == (0, 0, 1)
    assert '"service": "JSON"' in tried.stdout
    assert "The test was taken." in tried.stderr
    assert "The test was not taken: Failed to send" in refused.stderr
    assert there.titles == ["Test of Alpha Panda"] * 2
    said = added.stdout + added.stderr + (tmp_path / "logs" / "alerts.log").read_text()
    assert "Canary" not in said


def _manage(stack: Stack, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "alerts", *words],
        env={**outer, "ALPHAPANDA_RUN_DIR": str(stack.run_dir)},
        cwd=ROOT,
        input=f"{typed}\n",
        capture_output=True,
        text=True,
        check=False,
    )
