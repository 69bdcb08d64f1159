"""A silent worker is told from a busy one and from one with nothing to do."""

from __future__ import annotations

from alphapanda.watchdog import SILENT_S, Activity


def test_an_idle_worker_beside_a_filled_queue_is_silent() -> None:
    activity = Activity()
    activity.end()

    assert activity.is_silent(now=activity.at + SILENT_S, since=activity.at)
    assert not activity.is_silent(now=activity.at + SILENT_S - 0.1, since=activity.at)
    assert not activity.is_silent(now=activity.at + SILENT_S, since=activity.at + 1)


def test_a_worker_at_work_is_never_silent() -> None:
    activity = Activity()
    activity.begin()

    assert not activity.is_silent(now=activity.at + 100, since=activity.at)
