"""A real Kafka broker, from Maven Central: one node that is broker and controller, on ports of the test's own.

Its jars are kept in the cache, and only those whose SHA-256 stands in `kafka.sha256` are run. A new version: put it here, and
what `sha256sum *.jar` prints for the jars that Maven brings into that file.
"""

import base64
import hashlib
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from hookgate.binaries.cache import cache_folder
from tests.support.wait import free_port, freeze, until

VERSION = "4.1.0"
USER, PASSWORD = "shipper", "kafka-password-never-told"
_PINS = Path(__file__).with_suffix(".sha256")
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>none</groupId><artifactId>none</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
  </dependencies>
</project>
"""
_JAVA = ("-Xmx256m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class NoKafkaError(Exception):
    """Why there is no broker to be had."""


def jars() -> Path:
    """Gives the folder with the broker's jars, fetched with Maven if they are not there. Raises NoKafkaError."""
    if shutil.which("java") is None:
        raise NoKafkaError("Kafka needs Java 17 or newer, and there is no `java` on PATH")
    folder = cache_folder() / "kafka" / VERSION
    if _differs(folder):
        _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise NoKafkaError(
            f"Kafka {VERSION} is not in {folder}, and there is no Maven (`mvn`) on PATH to fetch it with"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        (Path(scratch) / "pom.xml").write_text(_POM)
        command = ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        found = Path(scratch) / "jars"
        if done.returncode != 0:
            raise NoKafkaError(f"Maven could not fetch Kafka {VERSION}: {done.stdout.strip()[:300]}")
        if differing := _differs(found):
            raise NoKafkaError(f"Kafka {VERSION}: not the jars that {_PINS.name} names: {', '.join(differing)}")
        shutil.rmtree(folder, ignore_errors=True)
        found.rename(folder)


def _differs(folder: Path) -> list[str]:
    """Gives the names of jars that are missing, more, or other than they should be."""
    pins = (line.split() for line in _PINS.read_text().splitlines())
    pinned = {name: digest for digest, name in pins}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    return sorted(name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name))


class Kafka:
    """One broker. `address` speaks plain text to anyone, `secured` TLS with SCRAM-SHA-512 to `USER`."""

    def __init__(self, libraries: Path) -> None:
        self._classpath = f"{libraries}/*"
        self.directory = Path(tempfile.mkdtemp(prefix="kafka-"))
        plain, secured, controller = free_port(), free_port(), free_port()
        self.address, self.secured = f"127.0.0.1:{plain}", f"127.0.0.1:{secured}"
        authority = trustme.CA()
        self.ca = self.directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        listeners = f"PLAINTEXT://{self.address},SASL_SSL://{self.secured}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "auto.create.topics.enable": "false",
            # One that was killed may come back once it is known to be gone.
            "broker.session.timeout.ms": "1000",
            "broker.heartbeat.interval.ms": "200",
            "offsets.topic.replication.factor": "1",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            **_tls(authority.issue_cert("127.0.0.1")),
        }
        self._settings = self.directory / "server.properties"
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def format(self) -> "Kafka":
        """Lays the storage, and adds the user."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        user = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
        options = ["format", f"--cluster-id={cluster}", "--config", str(self._settings), "--add-scram", user]
        done = subprocess.run(
            ["java", *_JAVA, "-cp", self._classpath, "kafka.tools.StorageTool", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"Kafka's storage can't be laid: {done.stdout} {done.stderr}")
        return self

    def start(self) -> "Kafka":
        """Starts it; `accepts` tells when it is there."""
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["java", *_JAVA, "-cp", self._classpath, "kafka.Kafka", str(self._settings)], stdout=log, stderr=log
            )
        return self

    def accepts(self) -> bool:
        """Whether it takes connections."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Kafka ended: {(self.directory / 'log').read_text()[-2000:]}")
        host, _, port = self.address.rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def freeze(self) -> None:
        """Stops it without ending it: connections stay open and nothing is answered."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Lets it go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once."""
        self._send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def remove(self) -> None:
        """Ends it, if it runs, and removes its files."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def running() -> Kafka:
    """Gives a broker that takes connections. Raises NoKafkaError."""
    broker = Kafka(jars())
    try:
        broker.format().start()
        until(broker.accepts, seconds=60, what="Kafka to take connections")
    except BaseException:
        broker.remove()
        raise
    return broker


def _tls(certificate: trustme.LeafCert) -> dict[str, str]:
    """Properties are one line each: line ends of the PEM are written as they are in such files."""
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode()
    private = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": chain.replace("\n", "\\n"),
        "ssl.keystore.key": key.replace("\n", "\\n"),
    }
