"""Terminals show names and errors as they are: brackets in them are no markup and no fault."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from alphapanda import bootstrap, preflight
from alphapanda.health import registry
from alphapanda.health.registry import Group, Level, Result, Status
from alphapanda.management.commands import seed
from alphapanda.web.console import screen

BRACKETS = "a[/b] [red]c :x: d\\"


def said(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_a_screen_reads_no_markup():
    out = io.StringIO()

    screen(out).print(BRACKETS)

    assert out.getvalue().strip() == BRACKETS


def test_bootstrap_names_a_strategy_with_brackets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "run", lambda: iter([bootstrap.Done("strategies", BRACKETS)]))

    assert BRACKETS in said("bootstrap")


@pytest.mark.django_db
@pytest.mark.parametrize(("text", "words"), [("a,b\n", "line 1: no column"), (None, "No such file")])
def test_bootstrap_refuses_what_is_no_instrument_list_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, text: str | None, words: str
):
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text)
    settings.INSTRUMENTS = [path]
    monkeypatch.setattr(bootstrap, "STEPS", {"instruments": bootstrap.STEPS["instruments"]})

    with pytest.raises(CommandError, match=f"ALPHAPANDA_INSTRUMENTS: .*{words}") as refused:
        said("bootstrap")
    assert str(path) in str(refused.value)


def test_seed_tells_the_password_whatever_the_deployments_are_called(monkeypatch: pytest.MonkeyPatch):
    seeded = {
        "deployments": [BRACKETS],
        "differing": [BRACKETS],
        "operator": "operator",
        "password": "only-once",
    }
    monkeypatch.setattr(seed, "_seed", lambda *_args, **_options: seeded)

    assert said("seed").count("[red]c :x: d") == 2
    assert "only-once" in said("seed")


def test_preflight_and_health_show_what_a_part_said(monkeypatch: pytest.MonkeyPatch):
    finding = preflight.Finding("database", is_good=True, detail=BRACKETS)
    monkeypatch.setattr(preflight, "run", lambda **_options: [finding])
    assert BRACKETS in said("preflight")

    result = Result("stage", Group.STAGE, Status(Level.OK, BRACKETS))
    monkeypatch.setattr(registry, "run", lambda: [result])
    assert BRACKETS in said("health")
