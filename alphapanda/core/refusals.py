"""Bases of the errors with which services refuse an act, so that every shell can tell them apart."""

from __future__ import annotations


class Refusal(Exception):
    """An act was refused; nothing was changed."""


class Conflict(Refusal):
    """The state of a thing does not allow the act."""


class BadRequest(Refusal):
    """The act makes no sense as it was asked."""


class NotThere(Refusal):
    """The thing to act on does not exist."""


REASON_MAX = 300  # characters: what the audit trail keeps


def reason_problem(reason: str) -> str:
    """What is wrong with the reason of an act, in words; empty where nothing is."""
    if not reason.strip():
        return "Say why."
    if len(reason) > REASON_MAX:
        return f"Say why in {REASON_MAX} characters at most, not {len(reason)}."
    return ""
