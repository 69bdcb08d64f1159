.PHONY: run test test-kafka kite-conformance kite-faults kite-session lint parity chaos bench bench-peers poison screens fresh env

python := .venv/bin/python

env:  # makes .venv when requirements/*.txt have changed
	@sh requirements/install

run: env  # everything on this machine, until Ctrl-C
	@exec $(python) manage.py up

test:
	@.ci/run

test-kafka: env  # the log against a real Apache Kafka: needs Java 17 and Maven
	$(python) -m pytest tests/eventlog/test_real_kafka.py -m kafka

kite-conformance: env  # the official Kite client against our simulator of Kite
	$(python) -m pytest -n 0 tests/kite

kite-faults: env  # 2,000 seeded scenarios at the Kite simulator, and the race with the kill switch
	@$(python) manage.py kite_faults --scenarios 2000
	@$(python) manage.py kite_faults --scenarios 0 --kill-race --outage

kite-session: env  # a recorded session at the Kite simulator and on paper, side by side
	@exec $(python) manage.py kite_session

lint: env
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

parity chaos bench poison screens: env
	@exec $(python) manage.py $@

bench-peers: env  # our engine and others at the same task; installs them beside ours, below .run/peers
	@exec $(python) manage.py bench_peers --orders --memory

fresh: env  # forgets the embedded data, secrets and logs; asks, and is refused while the platform runs
	@exec $(python) manage.py fresh
