"""What was wrong, in one line, wherever deployments are listed."""

from __future__ import annotations

import pytest

from strategies.domain.errors import in_short

STACK = 'File "mine.py@0d6bc6ee", line 18 in on_bar\n  File "machine.py", line 310 in ask_strategy'


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            f"Traceback (most recent call last):\n  {STACK}\nZeroDivisionError: oops\n",
            "ZeroDivisionError: oops",
        ),
        (f"did not come back within 5 s; it was at\n  {STACK}\n", "did not come back within 5 s"),
        (
            f"did not come back within 20 s, twice; its process was ended\n  {STACK}",
            "did not come back within 20 s, twice; its process was ended",
        ),
        ("its State cannot be stored: seen: no", "its State cannot be stored: seen: no"),
        ("", ""),
    ],
)
def test_the_line_that_says_what_was_wrong(error: str, said: str) -> None:
    assert in_short(error) == said
