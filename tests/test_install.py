"""A project in an environment of its own, from what it declares alone: a shared one hides what is missing."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_cookies.plugin import Cookies

from tests.conftest import Project, clean_environment, execute, free_port, need_server
from tests.databases import drop_databases
from tests.variants import UV, Variant

pytestmark = pytest.mark.slow

DOCKER_STOP = 10
"""Seconds that a container has to end, before it is killed."""

OWN = [
    Variant("sqlite", "sync", "alembic"),
    Variant("postgresql", "async", "create_all"),
    Variant("mysql", "async", "alembic"),
]


def run(project: Project, *command: str, **variables: str) -> str:
    """Run a command as its user would, with no environment but the project's own."""
    return execute(command, project.path, clean_environment() | variables)


@pytest.mark.parametrize("variant", OWN, ids=str)
def test_own_environment(cookies: Cookies, variant: Variant) -> None:
    """The service's requirements are all that it imports, and those of its development all that its tests do."""
    project = Project(cookies.bake(extra_context=variant.answers).project_path, variant)
    run(project, *UV, "venv", "--quiet", "--python", sys.executable)
    install = (*UV, "pip", "install", "--quiet", "--python", ".venv")
    run(project, *install, "--requirements", "requirements.txt")
    run(project, ".venv/bin/python", "-c", "import app.main, app.database.__main__")
    run(project, *install, "--group", "dev")
    variables = {} if variant.database == "sqlite" else {"TEST_DATABASE_URL": need_server(variant.database)}
    assert re.search(r"\d{3} passed", run(project, ".venv/bin/python", "-m", "pytest", "-q", **variables))


def test_make(cookies: Cookies, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What make does needs nothing but Python, make, git and a package index."""
    project = Project(cookies.bake().project_path, Variant("sqlite", "async", "alembic"))
    python = f"PYTHON={sys.executable}"
    assert re.search(r"\d{3} passed", run(project, "make", "test", python))
    cache = {"MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy")}
    run(project, "make", "lint", python, **cache)
    run(project, "git", "init", "--quiet")
    run(project, "git", "add", "--all")
    run(project, "make", "check", python, **cache)
    port = free_port()
    command = ["make", "run", python, f"PORT={port}"]
    process = subprocess.Popen(
        command, cwd=project.path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if "startup complete" in line or "rror" in line)
        assert "startup complete" in line
        docs = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/docs').status)"
        assert run(project, ".venv/bin/python", "-c", docs).strip() == "200"
    finally:
        os.killpg(process.pid, 15)
        process.communicate(timeout=15)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, each in one line."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", "").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines)]


class Image:
    """What a Dockerfile makes, in a folder in place of a container: stages share it, and commands are run in it."""

    def __init__(self, project: Project, root: Path, port: int) -> None:
        """Begin with an empty folder."""
        self.context = project.path
        self.root = root
        self.port = port
        self.environment = clean_environment() | {"HOME": str(root)}
        self.user = "root"
        self.command: list[str] = []
        self.probe: list[str] = []

    def translate(self, text: str) -> str:
        """Return a text with the folders and the port of the image replaced by ours."""
        text = re.sub(r"(?<![\w.])/(venv|service|data)\b", rf"{self.root}/\1", text)
        return text.replace("8000", str(self.port)).replace("0.0.0.0", "127.0.0.1")

    def build(self, dockerfile: Path) -> None:
        """Follow the instructions."""
        for word, rest in instructions(dockerfile):
            getattr(self, f"do_{word.lower()}", lambda rest: None)(rest)

    def do_from(self, rest: str) -> None:
        """Start a stage: with an empty Python in the first, with what the first has left in the second."""
        base = self.root / "python"
        if rest.endswith(" AS build"):
            subprocess.run([sys.executable, "-m", "venv", base], check=True)
        self.environment["PATH"] = f"{base}/bin:/usr/bin:/bin"

    def do_env(self, rest: str) -> None:
        """Set variables."""
        for name, _, value in (pair.partition("=") for pair in rest.split()):
            self.environment[name] = self.translate(value).replace("$PATH", self.environment["PATH"])

    def do_workdir(self, rest: str) -> None:
        """Go to a folder."""
        assert rest == "/service"
        (self.root / "service").mkdir(exist_ok=True)

    def do_copy(self, rest: str) -> None:
        """Copy from the context, or from the other stage, which is in the same place."""
        if rest.startswith("--from="):
            shutil.rmtree(self.root / "service")  # it is not copied
            (self.root / "service").mkdir()
            return
        *sources, _ = rest.split()
        kept = re.findall(r"^!(.+)", (self.context / ".dockerignore").read_text(), re.MULTILINE)
        for path in [path for pattern in sources for path in self.context.glob(pattern)]:
            assert path.name in kept, f".dockerignore leaves out {path.name}"
            target = self.root / "service" / path.name
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)

    def do_run(self, rest: str) -> None:
        """Run a command; the user that it adds is not added to this machine."""
        rest = re.sub(r"--mount=\S+ ", "", rest)
        added = re.match(r"useradd --uid 1000 service(?: && install --directory --owner=service (\S+))?$", rest)
        if added:
            Path(self.translate(added[1] or "/data")).mkdir()
        else:
            command = ["sh", "-c", self.translate(rest)]
            subprocess.run(command, cwd=self.root / "service", env=self.environment, check=True, capture_output=True)

    def do_user(self, rest: str) -> None:
        """Change the user."""
        self.user = rest

    def do_healthcheck(self, rest: str) -> None:
        """Keep the probe for later."""
        self.probe = json.loads(self.translate(rest.partition("CMD ")[2]))

    def do_cmd(self, rest: str) -> None:
        """Keep the command for later. It is a list: a shell would keep signals from the server."""
        self.command = json.loads(self.translate(rest))


@pytest.fixture
def silent_collector() -> Iterator[str]:
    """Return the URL of a collector of telemetry that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "variant", [Variant("sqlite", "async", "alembic"), Variant("postgresql", "sync", "create_all")], ids=str
)
def test_image(cookies: Cookies, variant: Variant, tmp_path: Path, silent_collector: str) -> None:
    """What the Dockerfile says leads to a service that is ready, when its instructions are followed by hand.

    It ends before it is killed, though it has much to tell a collector that does not listen.
    """
    project = Project(cookies.bake(extra_context=variant.answers).project_path, variant)
    (tmp_path / "service").mkdir()
    image = Image(project, tmp_path, free_port())
    image.environment["EXTRAS"] = "--extra=telemetry"
    image.build(project.path / "Dockerfile")
    assert image.user == "1000"
    tools = {"uv", "pip", "mypy", "pytest"}
    assert not tools & {path.name for path in (tmp_path / "venv" / "bin").iterdir()}
    shutil.rmtree(tmp_path / "python" / "lib")  # the first stage is over: nothing of it is needed

    url = f"sqlite:///{tmp_path}/data/service.db"
    if variant.database != "sqlite":
        url = f"{need_server(variant.database).rpartition('/')[0]}/verify_{uuid.uuid4().hex[:16]}"
    variables = {"DATABASE_URL": url, "OTEL_EXPORTER_OTLP_ENDPOINT": silent_collector}
    options = {"cwd": tmp_path / "service", "env": image.environment | variables}
    subprocess.run([tmp_path / "venv/bin/python", "-m", "app.database", "prepare"], check=True, **options)
    assert subprocess.run(in_path(image.probe, image), check=False, capture_output=True, **options).returncode != 0
    process = subprocess.Popen(in_path(image.command, image), **options)
    try:
        deadline = time.monotonic() + 30
        status = 0
        while status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                status = urllib.request.urlopen(f"http://127.0.0.1:{image.port}/health/ready").status
        assert status == 200
        subprocess.run(in_path(image.probe, image), check=True, **options)
        for _ in range(1000):
            urllib.request.urlopen(f"http://127.0.0.1:{image.port}/health/live").close()
        process.terminate()
        assert process.wait(DOCKER_STOP) in (0, -15)
    finally:
        process.kill()
        if variant.database != "sqlite":
            drop_databases(need_server(variant.database), url.rpartition("/")[2])


def in_path(command: list[str], image: Image) -> list[str]:
    """Return a command with the path of its program in the image."""
    return [shutil.which(command[0], path=image.environment["PATH"]) or command[0], *command[1:]]
