"""Checks of the machine that the platform lives on: room on its disk, its clock, and whether the timetable rings."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime

from django.conf import settings

from accounts.models import LiveAct
from alphapanda import preflight
from alphapanda.health.basics import age_s
from alphapanda.health.registry import Group, Status, check, fail, ok, warn
from alphapanda.push import readmodel
from alphapanda.start_of_day import DISK_FREE_MIN
from alphapanda.web.formats import age

DISK_FREE_WARN = 5 * DISK_FREE_MIN
BEAT_WARN_S, BEAT_FAIL_S = 20.0, 60.0  # it rings every 5 s
UNKEPT = 5  # TIME_ERROR: the kernel's clock is not kept by anything


class _Timex(ctypes.Structure):
    """The head of Linux's struct timex, with room for the rest. `modes` 0 asks and changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror_us", ctypes.c_long),
        ("rest", ctypes.c_long * 40),
    )


@check("disk", Group.HOUSE)
def disk() -> Status:
    free = shutil.disk_usage(settings.RUN_DIR).free
    words = f"{free / (1 << 30):.1f} GiB free in {settings.RUN_DIR}"
    if free < DISK_FREE_MIN:
        return fail(f"{words}, at least {DISK_FREE_MIN >> 30} wanted", value=free)
    return (warn if free < DISK_FREE_WARN else ok)(words, value=free)


@check("clock", Group.HOUSE)
def clock() -> Mapping[str, Status]:
    """Of this machine: beside the database's, by what its kernel says of NTP, and beside Kite's as the last readiness
    check found it."""
    found = {"": _beside_database(), "NTP": _by_ntp()}
    return found | ({"Kite": kites} if (kites := _beside_kites()) else {})


def _beside_database() -> Status:
    try:
        return ok(preflight.clock())
    except preflight.Missing as missing:
        return fail(str(missing))


def _by_ntp() -> Status:
    """A clock that nothing keeps is worth a warning where orders leave the house."""
    told = clock_kept()
    if told is None:
        return ok("this machine does not say whether its clock is kept")
    state, error_ms = told
    if state != UNKEPT:
        return ok(f"kept, wrong by {error_ms:.0f} ms at most", value=error_ms)
    words = "the kernel knows of nothing that keeps its clock: run chrony or ntp"
    return (warn if settings.ZERODHA_ENABLED else ok)(words)


def clock_kept() -> tuple[int, float] | None:
    """The kernel's word for the state of its clock, and by how many milliseconds it is wrong at most; None where it
    does not say."""
    asked = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else (state, asked.maxerror_us / 1000)


def _beside_kites() -> Status | None:
    """Kite is asked by the readiness check alone: its answers are budgeted."""
    last = LiveAct.objects.filter(kind=LiveAct.Kind.READINESS).order_by("-at", "-pk").first()
    found = next((one for one in last.data if one["name"] == "clock"), None) if last else None
    if last is None or found is None:
        return None
    asked = age_s(last.at)
    return (ok if found["is_good"] else fail)(f"{found['detail']}, {age(asked)} ago", age_s=asked)


@check("beat", Group.HOUSE)
def beat() -> Status:
    """When a trading worker last did what the timetable rings for."""
    rung_ms = readmodel.session().get("beat_at_ms")
    if rung_ms is None:
        return warn("not seen since Redis started: do beat and a trading worker run?")
    rung_s = age_s(datetime.fromtimestamp(rung_ms / 1000, UTC))
    if rung_s >= BEAT_FAIL_S:
        return fail("silent: do beat and a trading worker run?", age_s=rung_s)
    return (warn if rung_s >= BEAT_WARN_S else ok)("last seen", age_s=rung_s)
