"""Orders at a broker that goes wrong, by processes that die: what `manage.py kite_faults` proves, in short."""

from __future__ import annotations

import os
import time

import pytest

from alphapanda.proof import kite_faults
from alphapanda.proof.kite_world import set_up

SEED = 20261128
SHORT = 200


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    pass


@pytest.mark.django_db
def test_try():
    set_up()
    first, last = map(int, os.environ.get("KF", "0 5").split())
    bad = 0
    for k in range(first, last):
        t = time.time()
        import cProfile, pstats
        pr = cProfile.Profile()
        pr.enable()
        r = kite_faults.run(SEED, k)
        pr.disable()
        if os.environ.get("KPROF"):
            pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
        print(k, f"{time.time()-t:.2f}s", r.orders, r.fills, r.fired, r.died, r.alerts, flush=True)
        if r.wrong:
            bad += 1
            print("   WRONG", r.scenario.told(), *r.wrong, sep="\n      ", flush=True)
    print("bad", bad)
