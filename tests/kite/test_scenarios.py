"""Orders at a broker that goes wrong, by processes that die: what `manage.py kite_faults` proves, in short."""

from __future__ import annotations

import os
import sys
import time

import pytest

from alphapanda.proof import kite_faults
from alphapanda.proof.kite_world import set_up

SEED = 20261128


@pytest.mark.django_db
def test_try():
    set_up()
    from django.db import connection
    bad = 0
    for k in eval(os.environ.get("KF", "range(5)")):
        t = time.time(); c = time.process_time()
        r = kite_faults.run(SEED, k)
        print(k, f"{time.time()-t:.2f}s cpu {time.process_time()-c:.2f}", r.orders, r.fills, r.fired, r.died, r.alerts, flush=True, file=sys.stderr)
        if r.wrong:
            bad += 1
            print("   WRONG", r.scenario.told(), *r.wrong, sep="\n      ", flush=True, file=sys.stderr)
    print("bad", bad)
