"""An Apache Kafka of one node (KRaft) from Maven coordinates, on a free port, in a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from django.conf import settings

POM = Path(__file__).with_name("pom.xml")
HEAP = "-Xmx384m"
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"  # any 16 bytes in URL-safe base64
START_S = 45
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
"""


def why_not() -> str:
    """Why a real Kafka cannot be started here; empty where it can."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)}" if missing else ""


class KafkaServer:
    """Starts on construction; `stop` ends the very process that was started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._classpath = f"{_libraries()}/*"
        broker, controller = _free_ports()
        self.address = f"127.0.0.1:{broker}"
        self._config = folder / "server.properties"
        self._config.write_text(CONFIG.format(broker=broker, controller=controller, data=folder / "data"))
        self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._config))
        with (folder / "server.log").open("wb") as output:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._config)), stdout=output, stderr=output
            )
        self._await(broker)

    def _command(self, *arguments: str) -> list[str]:
        return ["java", HEAP, "-XX:TieredStopAtLevel=1", "-cp", self._classpath, *arguments]

    def _java(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), check=True, capture_output=True, timeout=60)

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    told = (self._folder / "server.log").read_text()[-2000:]
                    raise RuntimeError(f"Kafka did not start: {told}") from error
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """End the server; twice is once."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def _libraries() -> Path:
    folder = Path(settings.RUN_DIR) / "kafka-libraries"
    stamp = folder / "pom.xml"
    if not stamp.exists() or stamp.read_bytes() != POM.read_bytes():
        subprocess.run(
            [
                "mvn",
                "--batch-mode",
                "--quiet",
                f"--file={POM}",
                "dependency:copy-dependencies",
                f"-DoutputDirectory={folder}",
            ],
            check=True,
            timeout=240,
        )
        shutil.copy(POM, stamp)
    return folder
