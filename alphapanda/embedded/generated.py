"""Secrets of embedded mode: made once, kept in RUN_DIR/secrets.json, readable by us only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path


class Damaged(ValueError):
    """The secrets cannot be read; others must not be made in their place, for the database is sealed with them."""


def secrets_of(run_dir: Path, names: Sequence[str]) -> dict[str, str]:
    """The secrets of these names, those that are missing made; the same in every process of RUN_DIR.
    Raises Damaged, OSError."""
    if not names:
        return {}
    path = run_dir / "secrets.json"
    kept = _kept(path)
    if not set(names) <= kept.keys():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secrets.{secrets.token_hex(8)}.tmp")
        fresh = {name: secrets.token_urlsafe(64) for name in names} | kept
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(fresh))
        _first_wins(draft, path, has_file=bool(kept))
        kept = _kept(path)
    return {name: kept[name] for name in names}


def _kept(path: Path) -> dict[str, str]:
    """What the file holds; nothing where there is none. Raises Damaged."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found or not all(isinstance(text, str) for text in found.values()):
        raise Damaged(
            f"{path} is damaged; expected that of your backup, or no such file: new keys are made then, and what was"
            " sealed in the database is to be entered anew"
        )
    return found


def _first_wins(draft: Path, path: Path, *, has_file: bool) -> None:
    """Two processes may start at once: a link fails where a name exists, so both get the same ones."""
    if has_file:
        draft.replace(path)
        return
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
