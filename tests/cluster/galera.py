"""Three Galera nodes behind HAProxy, on ports and in a folder of their own."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy.exc import DBAPIError

from tests.cluster import mariadb
from tests.cluster.mariadb import MariaDB, find_programs, make_folder
from tests.conftest import free_port, missing
from tests.databases import sql
from tests.faults.load import wait_for

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
PROGRAMS = mariadb.PROGRAMS | {"rsync": "rsync", "haproxy": "haproxy"}

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


class Node(MariaDB):
    """A server of the cluster."""

    def __init__(self, folder: Path, name: str) -> None:
        """Choose its folder, and its ports."""
        super().__init__(folder, name)
        self.group_port, self.state_port, self.copy_port = (free_port() for _ in range(3))
        self.peers = ""

    def settings(self) -> dict[str, Any]:
        """Return what it is started with."""
        provider = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self.state_port}",
            "gcache.size": "16M",
        }
        return super().settings() | {
            "innodb-autoinc-lock-mode": 2,
            "wsrep-on": "ON",
            "wsrep-provider": PROVIDER,
            "wsrep-cluster-address": f"gcomm://{self.peers}",
            "wsrep-node-address": f"127.0.0.1:{self.group_port}",
            "wsrep-node-name": self.name,
            "wsrep-sst-method": "rsync",
            "wsrep-sst-receive-address": f"127.0.0.1:{self.copy_port}",
            "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in provider.items()),
        }

    def start(self, *options: str) -> None:
        """Start it, and wait until it has joined."""
        self.launch(*options)
        wait_for(self.is_ready, 60)

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


class Galera:
    """The cluster. `url` leads to it through HAProxy."""

    def __init__(self) -> None:
        """See what is missing, and choose a folder and ports."""
        find_programs(PROGRAMS)
        if not PROVIDER.exists():
            missing(f"a Galera cluster needs {PROVIDER}: install galera-4")
        self.folder = make_folder("galera-")
        self.nodes = [Node(self.folder, f"node{number}") for number in range(3)]
        for node in self.nodes:
            node.peers = ",".join(f"127.0.0.1:{one.group_port}" for one in self.nodes)
        self.port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self.port}/mysql"
        self.haproxy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the databases, and start the nodes and HAProxy."""
        first, *others = self.nodes
        first.install()
        first.start("--wsrep-new-cluster")
        sql(first.url, "CREATE USER haproxy@'127.0.0.1'")
        for node in others:  # what they lack, they get from the first one
            node.folder.mkdir()
            shutil.chown(node.folder, "mysql") if mariadb.USER else None
            node.start()
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
                node.start()
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
