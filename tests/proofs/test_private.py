"""What a private stack is told of the house that it proves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alphapanda.proof import private


class Asked(Exception):
    """A stack was asked for."""


def test_it_knows_our_data_and_our_own_strategies(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    """A strategy of one's own is proven by parity as one that ships."""
    settings.STRATEGIES = tmp_path / "mine"
    told: dict[str, str] = {}

    def stack(_run_dir: Path, *, env: dict[str, str], **_options: Any) -> None:
        told.update(env)
        raise Asked

    monkeypatch.setattr(private, "Stack", stack)
    with pytest.raises(Asked), private.private_stack({"ALPHAPANDA_FEED": "none"}):
        pass

    assert told["ALPHAPANDA_STRATEGIES"] == str(tmp_path / "mine")
    assert told["ALPHAPANDA_DATA"] == str(settings.DATA)
    assert told["ALPHAPANDA_FEED"] == "none"
