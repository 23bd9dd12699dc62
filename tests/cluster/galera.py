"""Three Galera nodes behind HAProxy, on ports and in a folder of their own."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pymysql
from sqlalchemy.exc import DBAPIError

from tests.conftest import free_port, missing
from tests.databases import sql
from tests.faults.load import wait_for

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
PROGRAMS = {
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "rsync": "rsync",
    "haproxy": "haproxy",
}
"""What it needs, and the packages of Debian that have it."""

HAPROXY = """
global
    stats socket {folder}/haproxy.socket level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen galera
    bind 127.0.0.1:{port}
    balance leastconn
    option mysql-check user haproxy
    default-server check inter 500 fall 2 rise 1 on-marked-down shutdown-sessions
"""
"""It finds who does not answer, and no node without a quorum: the service is to live with that."""


class Node:
    """A server, with its own folder and ports."""

    def __init__(self, folder: Path, number: int) -> None:
        """Choose its folder, and its ports."""
        self.folder = folder / f"node{number}"
        self.name = f"node{number}"
        self.port, self.group_port, self.state_port, self.copy_port = (free_port() for _ in range(4))
        self.url = f"mysql://root@127.0.0.1:{self.port}/mysql"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, peers: str, *options: str) -> None:
        """Start it; `ready` tells when it has joined."""
        provider = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self.state_port}",
            "gcache.size": "16M",
        }
        settings = {
            "datadir": self.folder,
            "port": self.port,
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "log-error": self.folder.parent / f"{self.name}.log",
            "bind-address": "127.0.0.1",
            "binlog-format": "ROW",
            "innodb-autoinc-lock-mode": 2,
            "innodb-flush-log-at-trx-commit": 0,  # the other nodes have it
            "innodb-buffer-pool-size": "32M",
            "wsrep-on": "ON",
            "wsrep-provider": PROVIDER,
            "wsrep-cluster-address": f"gcomm://{peers}",
            "wsrep-node-address": f"127.0.0.1:{self.group_port}",
            "wsrep-node-name": self.name,
            "wsrep-sst-method": "rsync",
            "wsrep-sst-receive-address": f"127.0.0.1:{self.copy_port}",
            "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in provider.items()),
        }
        if os.geteuid() == 0:
            settings["user"] = "mysql"
        command = ["mariadbd", "--no-defaults", *(f"--{name}={value}" for name, value in settings.items()), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, statement: str) -> list[str]:
        """Return a row. SQLAlchemy could not ask: its first statements are refused by a node without a quorum."""
        with (
            pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return [str(value) for value in cursor.fetchone() or ()]

    def status(self, name: str) -> str:
        """Return a variable of its status, or nothing while it does not answer."""
        try:
            return self.ask(f"SHOW STATUS LIKE 'wsrep_{name}'")[1]
        except pymysql.Error:
            return ""

    def is_ready(self) -> bool:
        """Tell whether it takes part; fail when it has ended."""
        assert self.process is None or self.process.poll() is None, f"{self.name} has ended: see {self.folder}.log"
        return self.status("ready") == "ON" and self.status("local_state_comment") == "Synced"

    def kill(self) -> None:
        """Kill it, as a machine that loses its power."""
        assert self.process
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """Stop it; the others know that it has left."""
        assert self.process
        self.process.terminate()
        self.process.wait(60)


class Galera:
    """The cluster. `url` leads to it through HAProxy."""

    def __init__(self) -> None:
        """See what is missing, and choose a folder and ports."""
        for program, package in PROGRAMS.items():
            if shutil.which(program) is None:
                missing(f"a Galera cluster needs {program}: install {package}")
        if not PROVIDER.exists():
            missing(f"a Galera cluster needs {PROVIDER}: install galera-4")
        self.folder = Path(tempfile.mkdtemp(prefix="galera-"))
        self.folder.chmod(0o755)  # the servers do not run as root
        self.nodes = [Node(self.folder, number) for number in range(3)]
        self.port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self.port}/mysql"
        self.haproxy: subprocess.Popen[bytes] | None = None

    @property
    def peers(self) -> str:
        """Return the addresses at which nodes find each other."""
        return ",".join(f"127.0.0.1:{node.group_port}" for node in self.nodes)

    def start(self) -> None:
        """Make the databases, and start the nodes and HAProxy."""
        first = self.nodes[0]
        user = ["--user=mysql"] if os.geteuid() == 0 else []
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={first.folder}", *user, *options]
        subprocess.run(install, check=True, capture_output=True)
        for node in self.nodes[1:]:  # what they lack, they get from the first one
            node.folder.mkdir()
            shutil.chown(node.folder, "mysql") if user else None
        if user:
            shutil.chown(self.folder, "mysql")
        first.start(self.peers, "--wsrep-new-cluster")
        wait_for(first.is_ready, 60)
        sql(first.url, "CREATE USER haproxy@'127.0.0.1'")
        for node in self.nodes[1:]:
            node.start(self.peers)
            wait_for(node.is_ready, 60)
        servers = [f"    server {node.name} 127.0.0.1:{node.port}\n" for node in self.nodes]
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(folder=self.folder, port=self.port) + "".join(servers))
        self.haproxy = subprocess.Popen(["haproxy", "-q", "-f", str(configuration)])
        wait_for(self.answers, 10)

    def answers(self) -> bool:
        """Tell whether somebody answers through HAProxy."""
        try:
            return sql(self.url, "SELECT 1") == 1
        except DBAPIError:
            return False

    def admit(self, state: str) -> None:
        """Have HAProxy send connections to the nodes (`ready`), or to none (`maint`)."""
        for node in self.nodes:
            with socket.socket(socket.AF_UNIX) as console:
                console.connect(str(self.folder / "haproxy.socket"))
                console.sendall(f"set server galera/{node.name} state {state}\n".encode())
                assert console.recv(1000).strip() == b"", node.name

    def heal(self) -> None:
        """Have all nodes again, whatever has happened to them."""
        running = [node for node in self.nodes if node.process and node.process.poll() is None]
        if not any(node.is_ready() for node in running):
            running[0].ask("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")
            wait_for(running[0].is_ready, 30)
        for node in self.nodes:
            if node not in running:
                node.start(self.peers)
                wait_for(node.is_ready, 60)
        wait_for(lambda: all(node.status("cluster_size") == "3" for node in self.nodes), 30)
        self.admit("ready")
        wait_for(self.answers, 10)

    def stop(self) -> None:
        """End it all."""
        for process in (self.haproxy, *(node.process for node in self.nodes)):
            if process and process.poll() is None:
                process.kill()
                process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
