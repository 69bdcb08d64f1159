.PHONY: test-kafka

test-kafka:  ## the log against a real Apache Kafka: needs Java 17 and Maven
	.venv/bin/pytest tests/eventlog/test_real_kafka.py -m kafka
