"""A PostgreSQL primary with two streaming standbys, on ports and in a folder of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from tests.conftest import free_port, missing
from tests.databases import sql
from tests.faults.load import wait_for

SETTINGS = {
    "fsync": "off",  # what a killed process has written is not lost
    "hot_standby_feedback": "on",
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "16MB",
    "wal_keep_size": "256MB",
    "wal_receiver_status_interval": "1s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "200ms",
}


RECEIVED = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'"
"""How much a standby has."""


def find_programs() -> Path:
    """Return the folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"), key=lambda path: int(path.parts[-3]))
    if not found:
        missing("needs the programs of a PostgreSQL server: apt-get install postgresql")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        missing("needs setpriv, of util-linux: PostgreSQL does not run as root")
    return found[-1].parent


def ordinary() -> list[str]:
    """Return how a command begins that is not to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class Server:
    """One of the servers."""

    def __init__(self, folder: Path, name: str) -> None:
        """Choose a port; `start` makes it run."""
        self.folder = folder / name
        self.name = name
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database on this server alone."""
        return f"postgresql://postgres@{self.address}/{database}"

    def sql(self, *statements: str, database: str = "postgres") -> object:
        """Execute statements here; return the first value of the last one's result."""
        return sql(self.url(database), *statements)

    def answers(self) -> bool:
        """Tell whether it lets us in."""
        with contextlib.suppress(DBAPIError):
            return self.sql("SELECT 1") == 1
        return False

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with (self.folder.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *ordinary(),
                    find_programs() / "postgres",
                    f"-D{self.folder}",
                    f"--port={self.port}",
                    f"--unix_socket_directories={self.folder.parent}",
                    *options,
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(self.answers, 30)

    def processes(self) -> list[int]:
        """Return the server's process, and those that it has started."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def send(self, number: signal.Signals) -> None:
        """Send all its processes a signal."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def freeze(self) -> None:
        """Let it fall silent: connections stay open, new ones are accepted, and nothing comes."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, as the loss of its machine would."""
        if self.process and self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """Stop it in order, which ends its connections."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def follow(self, primary: "Server", port: int | None = None) -> None:
        """Be a standby of another server, from now on or from the next start on; `port` leads to it, if given."""
        conninfo = f"host=127.0.0.1 port={port or primary.port} user=postgres application_name={self.name}"
        if self.process and self.process.poll() is None:
            self.sql(f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'", "SELECT pg_reload_conf()")
            return
        with (self.folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{conninfo}'\n")
        signal_file = self.folder / "standby.signal"
        signal_file.touch()
        shutil.chown(signal_file, self.folder.owner(), self.folder.group())

    def pause(self) -> None:
        """Let it fall behind: what it receives is not replayed."""
        self.sql("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        """Let it catch up."""
        self.sql("SELECT pg_wal_replay_resume()")

    def clients(self, database: str) -> int:
        """Return how many connections clients have to a database here, without ours."""
        theirs = f"datname = '{database}' AND backend_type = 'client backend' AND wait_event IS DISTINCT FROM 'SyncRep'"
        return int(str(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {theirs}")))


class Cluster:
    """A primary, and two servers that follow it."""

    def __init__(self) -> None:
        """See what is missing, and choose a folder; `start` makes the servers."""
        find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="cluster-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.servers = [Server(self.folder, f"server{number}") for number in range(3)]
        self.primary, *self.standbys = self.servers

    def run(self, program: str, *options: str) -> None:
        """Run a program of PostgreSQL."""
        command: Sequence[str | Path] = [*ordinary(), find_programs() / program, *options]
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr

    def start(self) -> None:
        """Make the servers, and start them."""
        self.run("initdb", f"-D{self.primary.folder}", "-Upostgres", "-Atrust", "-EUTF8", "--locale=C.UTF-8", "-N")
        self.primary.start()
        for standby in self.standbys:
            address = f"-dhost=127.0.0.1 port={self.primary.port} user=postgres application_name={standby.name}"
            self.run("pg_basebackup", f"-D{standby.folder}", address, "-R", "-Xstream", "-cfast", "-N")
            standby.start()
        wait_for(lambda: self.primary.sql("SELECT count(*) FROM pg_stat_replication") == len(self.standbys), 20)

    def stop(self) -> None:
        """Kill all servers, and delete what they have stored."""
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder)

    def be_synchronous(self) -> None:
        """Let COMMIT wait until one standby has stored it."""
        for server in self.servers:
            server.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'", "SELECT pg_reload_conf()")
        wait_for(lambda: self.primary.sql("SHOW synchronous_standby_names") == "ANY 1 (*)", 10)

    def demote(self) -> None:
        """Make the primary a standby: all servers answer, and nobody can write."""
        old = self.primary
        old.stop()
        old.follow(self.standbys[0])
        old.start()
        self.standbys.insert(0, old)

    def promote(self) -> None:
        """Make the standby that has the most the primary, and let the other one follow it."""
        self.standbys.sort(key=lambda one: int(str(one.sql(RECEIVED))))
        self.primary = self.standbys.pop()
        for standby in self.standbys:
            standby.follow(self.primary)
        self.primary.sql("SELECT pg_promote(true, 30)")

    def url(self, database: str, *servers: Server, wish: str | None = "read-write") -> str:
        """Return a URL that names several servers, in the spelling of the drivers: all, unless some are given."""
        hosts = [f"host={server.address}" for server in servers or self.servers]
        options = [*hosts, f"target_session_attrs={wish}"] if wish else hosts
        return f"postgresql://postgres@/{database}?{'&'.join(options)}"

    def urls(self, database: str) -> dict[str, str]:
        """Return the settings of a service that writes to the primary, and reads from the standbys."""
        return {"DATABASE_URL": self.url(database), "DATABASE_READ_URL": self.url(database, *self.standbys, wish=None)}
