"""The end: SIGTERM with requests under way, as `docker stop` sends it to the command of the image."""

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import MAIN, SERVERS, Project, clean_environment, free_port, missing, only, wait_until_ready
from tests.databases import sql
from tests.faults.load import POOL
from tests.faults.proxy import Proxy
from tests.variants import Variant, environment

pytestmark = pytest.mark.faults
GRACE = 8
"""Seconds that the image gives to requests under way."""


@contextlib.contextmanager
def run_image(
    project: Project, url: str, log: Path, *, app: str = "stress:app", within: tuple[str, ...] = ()
) -> Iterator[tuple[httpx2.Client, subprocess.Popen[bytes]]]:
    """Run the command of the Dockerfile, on a port of its own; yield a client and the process, once it is ready."""
    [command] = re.findall(r"^CMD (\[.*\])$", (project.path / "Dockerfile").read_text(), re.MULTILINE)
    port = str(free_port())
    words = {"app.main:app": app, "0.0.0.0": "127.0.0.1", "8000": port}
    program, *arguments = [words.get(word, word) for word in json.loads(command)]
    path = f"{environment(MAIN) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with (
        log.open("w") as output,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client,
    ):
        process = subprocess.Popen(
            [*within, shutil.which(program, path=path) or program, *arguments],
            cwd=project.path,
            env=clean_environment() | POOL | {"DATABASE_URL": url, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(client, process, log)
            yield client, process
        finally:
            process.kill()
            process.wait()


def test_stop(stressed: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """Requests under way are finished and stored, new ones are refused, and the end is clean."""
    log = tmp_path / "log"
    writes = 2 if variant.database == "sqlite" else 8  # there, one after the other
    with (
        run_image(stressed, database_url, log) as (client, process),
        concurrent.futures.ThreadPoolExecutor(writes) as pool,
    ):
        running = [pool.submit(client.post, "/stress/write", params={"name": f"n{n}"}) for n in range(writes)]
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{client.base_url}/health/live")
        assert [one.result().status_code for one in running] == [201] * writes
        process.wait(15)
    assert time.monotonic() - started < GRACE / 2
    assert process.returncode in {0, -signal.SIGTERM}
    assert sql(database_url, "SELECT count(*) FROM users") == writes
    assert not re.search("ERROR|Traceback", log.read_text()), log.read_text()
    assert "Database: closed" in log.read_text()


@only(database=SERVERS)
def test_stop_in_silence(stressed: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """The database has fallen silent, with all connections of the pool open: the end comes as soon."""
    proxy = Proxy(database_url)
    proxy.open()
    with (
        run_image(stressed, proxy.url, tmp_path / "log") as (client, process),
        concurrent.futures.ThreadPoolExecutor(15) as pool,
    ):
        assert {one.status_code for one in pool.map(client.get, ["/stress/slow"] * 15)} == {200}
        proxy.flowing.clear()
        process.send_signal(signal.SIGTERM)
        process.wait(GRACE)
    proxy.flowing.set()


def test_stop_as_first_process(stressed: Project, database_url: str, tmp_path: Path) -> None:
    """As process 1, whom signals do not end by themselves, it still ends cleanly."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        missing("needs root and unshare")
    log = tmp_path / "log"
    within = ("unshare", "--pid", "--fork", "--kill-child")
    with run_image(stressed, database_url, log, app="app.main:app", within=within) as (_, process):
        [first] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        process.wait(15)
    assert process.returncode == 0, log.read_text()
    assert "Database: closed" in log.read_text()


def test_stop_with_a_stream(stressed: Project, database_url: str, tmp_path: Path) -> None:
    """An open stream does not hold the end for longer than the grace, which is less than a container is given."""
    log = tmp_path / "log"
    with (
        run_image(stressed, database_url, log) as (client, process),
        client.stream("GET", "/stress/stream") as response,
    ):
        parts = response.iter_raw(100)  # it closes the stream when nobody has it any more
        next(parts)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        del parts
    assert GRACE - 1 < time.monotonic() - started < GRACE + 2
    assert "Database: closed" in log.read_text()
