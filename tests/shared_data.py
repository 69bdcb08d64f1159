"""The shared data folder: ALPHAPANDA_DATA, by default beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ALPHAPANDA_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the shared data folder {SHARED} is missing: set ALPHAPANDA_DATA"
)
