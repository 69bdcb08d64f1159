"""The published JSON Schemas are those of the code."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from alphapanda.core.envelope import EventType


def test_the_golden_files_are_true():
    call_command("export_schemas", "--check")


def test_a_difference_is_named_and_mended(settings, tmp_path):
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"envelope\.json"):
        call_command("export_schemas", "--check")
    call_command("export_schemas", verbosity=0)
    call_command("export_schemas", "--check")

    written = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "docs/schemas").iterdir()}
    assert set(written) == {"envelope", *EventType}
