"""What was wrong, in one line, wherever deployments are listed."""

from __future__ import annotations

import pytest

from strategies.domain.errors import in_short, shortened

STACK = 'File "mine.py@0d6bc6ee", line 18 in on_bar\n  File "machine.py", line 310 in ask_strategy'


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            f"Traceback (most recent call last):\n  {STACK}\nZeroDivisionError: oops\n",
            "ZeroDivisionError: oops",
        ),
        (
            f"Traceback (most recent call last):\n  {STACK}\nValueError: odd\nin the second line\n",
            "ValueError: odd",
        ),
        (
            f"Traceback (most recent call last):\n  {STACK}\nKeyError: 1\n\nDuring handling of the above exception, "
            f"another exception occurred:\n\nTraceback (most recent call last):\n  {STACK}\nTypeError: no",
            "TypeError: no",
        ),
        ("Traceback (most recent call last):\nRecursionError: deep", "RecursionError: deep"),
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


@pytest.mark.parametrize(
    "error",
    [
        f"Traceback (most recent call last):\n  {STACK}\nValueError: odd\n" + "and more\n" * 100 + "the end",
        "did not come back within 20 s, twice; its process was ended\n" + f"  {STACK}\n" * 100 + "the end",
        "its State cannot be stored: " + "odd " * 1000 + "the end",
        f"Traceback (most recent call last):\n  {STACK}\nKeyError: " + "odd " * 1000 + "the end",
    ],
)
def test_in_little_room_what_was_wrong_comes_first_and_the_end_last(error: str) -> None:
    found = shortened(error, 600)

    assert len(found) <= 600
    assert found.startswith(in_short(error)[:300])
    assert found.endswith("the end")
    assert shortened(error, len(error)) == error
