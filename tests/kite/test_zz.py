import os, sys, time, pytest
from alphapanda.proof import kite_faults
from alphapanda.proof.kite_world import set_up
@pytest.mark.django_db
def test_try():
    set_up()
    for k in eval(os.environ["KF"]):
        t = time.process_time()
        r = kite_faults.run(20261128, k)
        print(k, f"cpu {time.process_time()-t:.2f}", r.orders, r.fills, r.fired, r.died, r.alerts, flush=True, file=sys.stderr)
        if r.wrong:
            print("   WRONG", r.scenario.told(), *r.wrong, sep="\n      ", flush=True, file=sys.stderr)
