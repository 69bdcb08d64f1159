"""`make fresh` forgets what it was meant to, asked, and never under a running stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from alphapanda import embedded, env


@pytest.fixture
def run_dir(tmp_path: Path, settings: Any) -> Path:
    """A stack that has run and stopped, beside something that is not ours."""
    settings.RUN_DIR = tmp_path / "run"
    for name in ("run/postgres/base", "run/logs", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "kept").touch()
    for name in ("up.lock", "secrets.json", "postgres/base/1"):
        (tmp_path / "run" / name).touch()
    return tmp_path / "run"


def answer(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr("builtins.input", lambda: words)


def test_all_is_forgotten_once_asked(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "yes")

    call_command("fresh")

    assert list(run_dir.iterdir()) == []
    assert (run_dir.parent / "elsewhere" / "kept").exists()


@pytest.mark.parametrize("words", ["", "y", "no"])
def test_nothing_is_forgotten_without_a_yes(
    words: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, words)

    with pytest.raises(CommandError, match="nothing is forgotten"):
        call_command("fresh")
    assert (run_dir / "postgres" / "base" / "1").exists()


def test_a_running_stack_is_left_alone(run_dir: Path) -> None:
    with embedded.lock(run_dir), pytest.raises(CommandError, match=r"another `manage\.py up` uses"):
        call_command("fresh", yes=True)
    assert (run_dir / "secrets.json").exists()


def test_a_folder_that_is_no_run_dir_is_left_alone(run_dir: Path) -> None:
    (run_dir / "up.lock").unlink()

    with pytest.raises(CommandError, match="no stack has run in"):
        call_command("fresh", yes=True)
    assert (run_dir / "secrets.json").exists()


def test_every_word_of_the_makefile_has_its_rule_and_none_removes_by_itself() -> None:
    text = (env.ROOT / "Makefile").read_text()
    rules = {
        word
        for line in re.findall(r"^([a-z][a-z -]*[a-z]):(?!=)", text, re.MULTILINE)
        for word in line.split()
    }

    assert set(text.partition(".PHONY:")[2].partition("\n")[0].split()) == rules
    assert "rm -" not in text
