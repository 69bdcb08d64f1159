"""Rows that stay: the triggers with which the database itself refuses to lose or change history.

They hold against every statement, the ORM's or one typed into psql. What sets them aside (dropping them,
`session_replication_role`) takes an owner's deliberate act."""

from __future__ import annotations

import pgtrigger


def append_only() -> list[pgtrigger.Trigger]:
    """Rows are written once: no UPDATE, no DELETE, no TRUNCATE."""
    protect = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
    return [protect, untruncated()]


def kept() -> list[pgtrigger.Trigger]:
    """Rows may change, they never go: no DELETE, no TRUNCATE."""
    return [pgtrigger.Protect(name="kept", operation=pgtrigger.Delete), untruncated()]


def untruncated() -> pgtrigger.Trigger:
    """No TRUNCATE, which passes every trigger on rows; nor one that cascades from another table."""
    return pgtrigger.Trigger(
        name="untruncated",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="RAISE EXCEPTION 'pgtrigger: Cannot truncate % table', TG_TABLE_NAME;",
    )
