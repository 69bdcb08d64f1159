"""A strategy that does not come back is quarantined and the others go on: in Python, in C that looks at signals, and
in C that never does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import override_settings

from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.proof.recorded import deployments_over
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from strategies import tasks
from strategies.models import Deployment
from strategies.services.limit import AGAIN_WITHIN_S, StrategyHung, TimeLimit
from strategies.services.shard import Shard
from tests.engine import libraries
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
ROOT = Path(__file__).resolve().parents[2]
HANGS = """
import re
from strategies.domain.base import Strategy


class Hangs(Strategy):
    name = "hangs"

    def on_tick(self, state, tick, view):
        if tick.at_ms >= {from_ms}:
            {how}
        return ()
"""
IN_PYTHON = "while True: pass"
IN_A_REGULAR_EXPRESSION = 're.match(r"(a+)+$", "a" * 60 + "b")'
THOUGH_IT_CATCHES = """
            while True:
                try:
                    while True: sum([1])
                except Exception: pass"""
IN_ITS_BEGINNING = """

    def __init__(self, params):
        super().__init__(params)
        while True: pass"""


@pytest.fixture(scope="module")
def items():
    return list(recording(FILES, deployments_over(FILES)).source().iter_from())[:400]


def run(monkeypatch, items, code: str) -> tuple[Deployment, Deployment]:
    """The hanging deployment and another one, after the stream was folded."""
    path = libraries.drop("hangs", code)
    try:
        hanging = Definition(name="Hanging", strategy="hangs", instruments=("NSE:YESBANK",))
        with override_settings(SHARDS=1):
            seeded([hanging, *deployments_over(FILES)[:1]])
        hand = Hand(packed(items, source=8, batch=50))
        for shard in hand.shards:
            shard.limit.seconds, shard.limit.ends_after_s = 0.2, 120
        hand.attach(monkeypatch)
        monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
        hand.run()
        bad = Deployment.objects.get(name="Hanging")
        return bad, Deployment.objects.exclude(pk=bad.pk).get()
    finally:
        libraries.taken_away(path)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", [IN_PYTHON, IN_A_REGULAR_EXPRESSION, THOUGH_IT_CATCHES])
def test_one_that_hangs_is_quarantined_where_it_was_and_the_others_go_on(monkeypatch, items, how):
    bad, other = run(monkeypatch, items, HANGS.format(from_ms=items[200].at_ms, how=how))

    assert bad.status == DeploymentStatus.QUARANTINED
    assert bad.error.startswith("did not come back within 0.2 s of computing")
    assert "in on_tick" in bad.error
    assert "hangs.py@" in bad.error
    assert bad.seq < FIRST_SEQ + 200
    assert (other.status, other.seq) == (DeploymentStatus.RUNNING, FIRST_SEQ + 399)


@pytest.mark.django_db(transaction=True)
def test_one_that_hangs_when_it_is_made_is_quarantined_too(monkeypatch, items):
    code = HANGS.format(from_ms=0, how="pass").replace('name = "hangs"', f'name = "hangs"{IN_ITS_BEGINNING}')
    with monkeypatch.context() as patch:
        patch.setattr("alphapanda.deploying.check", lambda _definition: None)
        bad, other = run(monkeypatch, items, code)

    assert bad.status == DeploymentStatus.QUARANTINED
    assert "in __init__" in bad.error
    assert (other.status, other.seq) == (DeploymentStatus.RUNNING, FIRST_SEQ + 399)


def test_many_short_steps_are_no_long_one(tmp_path: Path) -> None:
    """Ten steps of a half of the limit each are five times the limit, and nobody is stopped."""
    limit, step = TimeLimit(tmp_path, 1, seconds=0.2), [0]

    with limit.over(uuid4(), lambda: step[0]):
        for _ in range(10):
            step[0] += 1
            spend(0.1)


def test_one_step_longer_than_the_limit_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(StrategyHung), TimeLimit(tmp_path, 1, seconds=0.2).over(uuid4()):
        spend(5)
    spend(0.5)  # outside nobody is stopped


def spend(seconds: float) -> None:
    """Compute for so long."""
    import time

    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


ENDLESS = """
import itertools, sys
from pathlib import Path
from uuid import UUID
from strategies.services.limit import TimeLimit

limit = TimeLimit(Path(sys.argv[1]), 3, seconds=0.2)
with limit.over(UUID(int=7)):  # another one, just before
    limit.touch()
with limit.over(UUID(sys.argv[2])):
    limit.touch()
    {how}
limit.disarm()
"""
IN_C = "sum(itertools.repeat(1))"
# The loop runs in a frame of its own: what is raised at the jump of a loop inside `try` is not always caught there.
CATCHES_ALL = """
    while True:
        try: sum(1 for _ in itertools.repeat(1))
        except BaseException: pass"""


@pytest.mark.parametrize(("how", "code"), [(IN_C, 1), (CATCHES_ALL, 1), ("pass", 0)])
def test_what_never_comes_back_ends_its_process_and_leaves_a_note(
    tmp_path: Path, how: str, code: int
) -> None:
    subject = uuid4()
    program = ENDLESS.format(how=how)

    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path), str(subject)], cwd=ROOT, check=False)

    assert ran.returncode == code
    limit = TimeLimit(tmp_path, 3, seconds=0.2)
    assert limit.last_words(now_s=0) is None
    assert (f'"{subject}","count":1' in _text(tmp_path / "3.json")) == bool(code)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def left_behind(folder: Path, subject: object) -> TimeLimit:
    """What a process that was ended leaves."""
    limit = TimeLimit(folder, 3, seconds=1)
    (folder / "3.at").write_text(str(subject))
    (folder / "3.trace").write_text('Timeout!\n  File "mine.py@00000000", line 3 in on_bar\n')
    return limit


def test_only_a_second_note_of_the_same_deployment_soon_after_stops_it(tmp_path: Path) -> None:
    one, two = uuid4(), uuid4()

    assert left_behind(tmp_path, one).last_words(now_s=0) is None
    assert left_behind(tmp_path, two).last_words(now_s=1) is None
    assert left_behind(tmp_path, one).last_words(now_s=2) is None
    assert left_behind(tmp_path, one).last_words(now_s=3 + AGAIN_WITHIN_S) is None
    words = left_behind(tmp_path, one).last_words(now_s=4 + AGAIN_WITHIN_S)
    assert words is not None
    assert words[0] == one
    assert "line 3 in on_bar" in words[1]
    assert TimeLimit(tmp_path, 3, seconds=1).last_words(now_s=5 + AGAIN_WITHIN_S) is None
    assert left_behind(tmp_path, one).last_words(now_s=6 + AGAIN_WITHIN_S) is None


def test_a_process_that_was_killed_leaves_no_note(tmp_path: Path) -> None:
    left_behind(tmp_path, uuid4())
    (tmp_path / "3.trace").write_text("")

    assert TimeLimit(tmp_path, 3, seconds=1).last_words(now_s=0) is None
    assert not (tmp_path / "3.json").exists()


@pytest.mark.django_db
def test_the_next_worker_quarantines_what_took_the_last_one_with_it_twice(monkeypatch, items):
    seeded(deployments_over(FILES))
    first = Deployment.objects.order_by("name")[0]
    folder = Path(settings.RUN_DIR, "hangs")
    for _ in range(2):
        left_behind(folder, first.pk)
        monkeypatch.setattr(tasks, "_limits", {})
        tasks._limited(3)

    first.refresh_from_db()
    assert first.status == DeploymentStatus.QUARANTINED
    assert "line 3 in on_bar" in first.error
    assert {row.status for row in Deployment.objects.exclude(pk=first.pk)} == {DeploymentStatus.RUNNING}
