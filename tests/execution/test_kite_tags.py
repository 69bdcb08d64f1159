"""The tag by which an order is found again."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.domain.kite import tags
from execution.domain.kite.tags import ATTEMPTS_MAX, BadAttempt, key_of, ours, read, tag_of

ORDER = UUID("6f1c2a52-6b0e-5c3c-9a64-0a1fa9a2da2a")
ATTEMPTS = st.integers(1, ATTEMPTS_MAX)


@given(st.text(max_size=10), st.uuids(), ATTEMPTS)
def test_a_tag_fits_kite_and_reads_back(house: str, order_id: UUID, attempt: int) -> None:
    tag = tag_of(house, order_id, attempt)

    assert len(tag) == 20
    assert tag.isascii()
    assert tag.isalnum()
    assert read(house, tag) == tags.Tag(key_of(house, order_id), attempt)
    assert tag == tag_of(house, order_id, attempt)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.uuids(), ATTEMPTS), unique=True, max_size=30))
def test_no_two_attempts_orders_or_houses_share_a_tag(all_of: list[tuple[str, UUID, int]]) -> None:
    assert len({tag_of(*one) for one in all_of}) == len(all_of)


def test_the_tag_of_a_stored_order_never_changes() -> None:
    """Tags are in the books of the broker: code that makes others loses orders that work."""
    assert tag_of("house", ORDER, 1) == "APTPJYHF722H0TF50H0S"


def test_it_is_found_among_those_that_kite_adds() -> None:
    tag = tag_of("house", ORDER, 3)

    assert ours("house", ["mktp", "mktp:2.00", tag]) == read("house", tag)
    assert ours("house", ["autoslice", "connect test order1", ""]) is None
    assert ours("house", []) is None


def test_what_was_changed_by_a_letter_is_rarely_ours() -> None:
    tag = tag_of("house", ORDER, 1)
    others = [tag[:place] + letter + tag[place + 1 :] for place in range(20) for letter in "0123456789XYZ"]
    mistaken = [other for other in others if other != tag and read("house", other)]

    assert len(mistaken) < len(others) / 10
    assert read("another house", tag) is None
    assert read("house", tag.lower()) is None


@pytest.mark.parametrize(
    "body", ["AP" + "0" * 18, "AP" + "0" * 16, "AQ" + "0" * 17, "AP" + "0" * 16 + "O", "AP" + "é" * 17]
)
def test_no_check_letter_makes_a_tag_of_another_length_mark_or_alphabet(body: str) -> None:
    assert not any(read("house", body + letter) for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(st.text(max_size=25))
def test_any_text_can_be_read(text: str) -> None:
    assert read("house", text) is None or text.startswith("AP")


@pytest.mark.parametrize("attempt", [0, -1, ATTEMPTS_MAX + 1])
def test_more_attempts_than_a_tag_tells_apart_are_refused(attempt: int) -> None:
    with pytest.raises(BadAttempt, match=f"attempt {attempt} is not from 1 to 32"):
        tag_of("house", ORDER, attempt)
