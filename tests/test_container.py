"""The image, as buildah makes it from the Dockerfile, and the service in it.

Isolation by chroot needs no engine that runs containers, and leaves the network and the processes of this machine.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from pytest_cookies.plugin import Cookies

from tests.conftest import DEAD_PROXY, Project, clean_environment, execute, free_port, need_server
from tests.databases import drop_databases
from tests.variants import ROOT, UV, Variant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("containers"),
    pytest.mark.skipif(
        not shutil.which("buildah") or os.geteuid() != 0, reason="images are built by buildah, for the superuser"
    ),
]

STOP = 10
"""Seconds that a container has to end, before it is killed."""
HERE = ("--isolation", "chroot", "--network", "host")
OURS = [option for path in ("ssl/certs", "resolv.conf", "hosts") for option in ("-v", f"/etc/{path}:/etc/{path}:ro")]
VARIANTS = [
    Variant("sqlite", "async", "alembic"),
    Variant("postgresql", "sync", "create_all"),
    Variant("mysql", "async", "alembic"),
]


def buildah(*arguments: str, folder: Path = ROOT, status: int = 0) -> str:
    """Run buildah; return what it prints."""
    return execute(("buildah", *arguments), folder, clean_environment(), status).strip()


@pytest.fixture(scope="module")
def base_image() -> str:
    """Return the name of the Dockerfile's base image, which is there: from a registry, or as a stand-in."""
    image = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_conventions"]["base_image"]
    tag = image if "/" in image else f"docker.io/library/{image}"
    known = json.loads(buildah("images", "--json"))
    if not any(tag in (image["names"] or ()) for image in known):
        if not shutil.which("debootstrap"):
            pytest.skip(f"{tag} is not there, and neither is debootstrap, to make a stand-in")
        execute([str(ROOT / "tests" / "base_image.sh"), tag, sys.base_prefix], ROOT, clean_environment())
    return tag


class Container:
    """A container of an image of its own."""

    def __init__(self, project: Project) -> None:
        """Build the image, and make a container of it."""
        self.project = project
        self.name = f"verify-{uuid.uuid4().hex[:16]}"
        self.build()
        described = json.loads(buildah("inspect", "--type", "image", self.name))["Docker"]["config"]
        self.port = str(free_port())
        self.command = [word.replace("8000", self.port) for word in described["Cmd"]]
        self.probe = [word.replace("8000", self.port) for word in described["Healthcheck"]["Test"][1:]]
        buildah("from", "--pull-never", "--name", self.name, f"localhost/{self.name}")

    def build(self, status: int = 0) -> str:
        """Build the image."""
        options = (*HERE, *OURS, "--pull-never", "--format", "docker", "--tag", self.name)
        return buildah("bud", *options, ".", folder=self.project.path, status=status)

    def in_it(self, *command: str, **variables: str) -> list[str]:
        """Return what runs a command in the container, as the image's user."""
        options = [option for name, value in variables.items() for option in ("--env", f"{name}={value}")]
        return ["buildah", "run", *HERE, *options, self.name, "--", *command]

    def run(self, *command: str, status: int = 0, **variables: str) -> str:
        """Run a command in the container."""
        return execute(self.in_it(*command, **variables), ROOT, clean_environment(), status)

    def remove(self) -> None:
        """Remove the container and its image."""
        buildah("rm", self.name)
        buildah("rmi", "--force", self.name)

    def find_server(self) -> int:
        """Return the id of the server's process. It is one of this machine's."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes().split(b"\0")
            if self.port.encode() in words and b"uvicorn" in words[1] and b"buildah" not in words[0]:
                return int(path.parent.name)
        raise LookupError("the server is not running")


def wait_until_ready(client: httpx2.Client, process: subprocess.Popen[str]) -> None:
    """Return when the service is ready."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    pytest.fail("the service did not become ready")


def send_until_it_ends(url: str, answers: list[int]) -> None:
    """Send requests for as long as somebody takes them."""
    with httpx2.Client(base_url=url, trust_env=False, timeout=STOP) as client:
        while True:
            try:
                answers.append(client.get("/api/v1/products").status_code)
            except httpx2.ConnectError:
                return
            except httpx2.TransportError:  # a connection was closed while it was idle
                continue


@pytest.fixture(params=VARIANTS, ids=str)
def container(request: pytest.FixtureRequest, cookies: Cookies, base_image: str) -> Iterator[Container]:
    """Return a container of a new project."""
    variant = request.param
    container = Container(Project(cookies.bake(extra_context=variant.answers).project_path, variant))
    yield container
    container.remove()


@pytest.fixture
def url(container: Container) -> Iterator[str]:
    """Return the URL of a database that does not exist yet."""
    database = container.project.variant.database
    if database == "sqlite":
        yield "sqlite:////data/service.db"
        return
    server, name = need_server(database), f"verify_{uuid.uuid4().hex[:16]}"
    yield f"{server.rpartition('/')[0]}/{name}"
    drop_databases(server, name)


@pytest.mark.xdist_group("image")  # of all, one process makes the base; others would wait for it
def test_image_of_buildah(container: Container, url: str) -> None:
    """Prepared and started as the image's user, it has what it needs and no more, is healthy, and ends under load."""
    assert container.run("id", "-u").strip() == "1000"
    content = container.run(
        "sh", "-c", "ls -A /service; ls /venv/bin; find / -xdev -name .env 2>/dev/null; true"
    ).split()
    migrations = {"migrations"} if container.project.variant.migrations == "alembic" else set()
    assert {"app", "pyproject.toml"} | migrations <= set(content)
    assert not {".env", "tests", "uv", "pytest"} & {Path(name).name for name in content}
    settings = {"DATABASE_URL": url, **DEAD_PROXY}
    assert container.run(*container.probe, status=1, **settings)
    assert "ready in" in container.run("python", "-m", "app.database", "prepare", **settings)
    log = subprocess.Popen(
        container.in_it(*container.command, **settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    answers: list[int] = []
    address = f"http://127.0.0.1:{container.port}"
    try:
        with httpx2.Client(base_url=address, trust_env=False) as client:
            wait_until_ready(client, log)
        container.run(*container.probe, **settings)
        server = container.find_server()
        assert re.search(r"^Uid:\s+1000\s", Path(f"/proc/{server}/status").read_text(), re.MULTILINE)
        threads = [threading.Thread(target=send_until_it_ends, args=(address, answers)) for _ in range(8)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while len(answers) < 100 and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(server, signal.SIGTERM)
        output, _ = log.communicate(timeout=STOP)
        for thread in threads:
            thread.join()
    finally:
        log.kill()
    assert len(answers) >= 100
    assert set(answers) == {200}
    assert "Traceback" not in output
    assert "Finished server process" in output


def test_stale_lock(cookies: Cookies, base_image: str) -> None:
    """An image takes the versions of a lock, or refuses one that was left behind."""
    project = Project(cookies.bake().project_path, VARIANTS[0])
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text()
    pyproject.write_text(re.sub(r'"uvicorn\[standard\]>=', '"uvicorn[standard]==', text))
    execute([*UV, "lock", "--quiet"], project.path, clean_environment())
    container = Container(project)
    try:
        oldest = re.search(r'"uvicorn\[standard\]>=([\d.]+)"', text)
        version = "import importlib.metadata as m; print(m.version('uvicorn'))"
        assert container.run("python", "-c", version).startswith(oldest[1])
        pyproject.write_text(text)
        assert "`uv.lock` needs to be updated" in container.build(status=1)
    finally:
        container.remove()
