"""MariaDB servers on ports and in folders of their own, and a primary with a replica."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pymysql

from tests.conftest import free_port, missing
from tests.faults.load import wait_for

PROGRAMS = {"mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server"}
"""What it needs, and the packages of Debian that have it."""

USER = {"user": "mysql"} if os.geteuid() == 0 else {}


def find_programs(programs: dict[str, str] = PROGRAMS) -> None:
    """See that all programs are installed."""
    for program, package in programs.items():
        if shutil.which(program) is None:
            missing(f"needs {program}: install {package}")


def make_folder(prefix: str) -> Path:
    """Return a new folder, in which servers that do not run as root can have theirs."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    if USER:
        shutil.chown(folder, "mysql")
    return folder


class MariaDB:
    """A server."""

    def __init__(self, folder: Path, name: str) -> None:
        """Choose its folder, and its port."""
        self.folder = folder / name
        self.name = name
        self.port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self.port}/mysql"
        self.process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make its system tables."""
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", *options_of(USER)]
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}", *options]
        subprocess.run(command, check=True, capture_output=True)

    def settings(self) -> dict[str, Any]:
        """Return what it is started with."""
        return {
            "datadir": self.folder,
            "port": self.port,
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "log-error": self.folder.parent / f"{self.name}.log",
            "bind-address": "127.0.0.1",
            "binlog-format": "ROW",
            "innodb-flush-log-at-trx-commit": 0,  # other servers have it
            "innodb-buffer-pool-size": "32M",
        }

    def launch(self, *options: str) -> None:
        """Start it, without waiting for it."""
        command = ["mariadbd", "--no-defaults", *options_of(self.settings() | USER), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, statement: str) -> list[str]:
        """Return a row. SQLAlchemy could not ask: its first statements are refused by a node without a quorum."""
        with (
            pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return [str(value) for value in cursor.fetchone() or ()]

    def answers(self) -> bool:
        """Tell whether it lets us in; fail when it has ended."""
        assert self.process is None or self.process.poll() is None, f"{self.name} has ended: see {self.folder}.log"
        try:
            return self.ask("SELECT 1") == ["1"]
        except pymysql.Error:
            return False

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.launch()
        wait_for(self.answers, 60)

    def freeze(self) -> None:
        """Let it fall silent: connections stay open, new ones are accepted, and nothing comes."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, as a machine that loses its power."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def stop(self) -> None:
        """Stop it in order."""
        assert self.process
        self.process.terminate()
        self.process.wait(60)


def options_of(settings: dict[str, Any]) -> list[str]:
    """Return settings as options of a command."""
    return [f"--{name}={value}" for name, value in settings.items()]


class Member(MariaDB):
    """The primary, or the replica."""

    def settings(self) -> dict[str, Any]:
        """Return what it is started with."""
        logs = {"server-id": self.port, "log-bin": "binlog", "relay-log": "relaylog"}
        return super().settings() | logs | {"read-only": int(self.name == "replica")}

    def pause(self) -> None:
        """Let it fall behind: what it receives is not replayed."""
        self.ask("STOP SLAVE SQL_THREAD")

    def resume(self) -> None:
        """Let it catch up."""
        self.ask("START SLAVE SQL_THREAD")


class Replication:
    """A primary, and a replica that reads only."""

    def __init__(self) -> None:
        """Choose a folder; `start` makes the servers."""
        find_programs()
        self.folder = make_folder("replication-")
        self.servers = [Member(self.folder, name) for name in ("primary", "replica")]
        self.primary, *self.standbys = self.servers

    def start(self) -> None:
        """Make the servers, and start them."""
        for server in self.servers:
            server.install()
            server.start()
        [replica] = self.standbys
        place = f"MASTER_HOST='127.0.0.1', MASTER_PORT={self.primary.port}, MASTER_USER='root', MASTER_CONNECT_RETRY=1"
        replica.ask(f"CHANGE MASTER TO {place}, MASTER_USE_GTID=slave_pos")
        replica.ask("START SLAVE")

    def stop(self) -> None:
        """Kill the servers, and delete what they have stored."""
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def urls(self, database: str) -> dict[str, str]:
        """Return the settings of a service that writes to the primary, and reads from the replica."""
        write, read = (f"{server.url.rpartition('/')[0]}/{database}" for server in self.servers)
        return {"DATABASE_URL": write, "DATABASE_READ_URL": read}
