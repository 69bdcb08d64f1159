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
