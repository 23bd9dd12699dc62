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
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_cookies.plugin import Cookies

from tests.conftest import (
    DEAD_PROXY,
    MAIN,
    NO_GIT_CONFIGURATION,
    Project,
    clean_environment,
    execute,
    free_port,
    need_server,
    server_url,
)
from tests.databases import drop_databases
from tests.variants import UV, Variant, environment

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


@pytest.mark.slow
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
    assert re.search(r"\d{2,} passed", run(project, ".venv/bin/python", "-m", "pytest", "-q", **variables))


@pytest.mark.slow
def test_make(cookies: Cookies, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What make does needs nothing but Python, make, git and a package index; the index only once."""
    project = Project(cookies.bake().project_path, Variant("sqlite", "async", "alembic"))
    python = f"PYTHON={sys.executable}"
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
    assert not (project.path / ".venv" / "bin" / "pytest").exists()  # to run needs less
    assert re.search(r"\d{2,} passed", run(project, "make", "test", python))
    pyproject = project.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("readme =", "keywords = []\nreadme ="))  # what is asked for
    offline = {"MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy"), **DEAD_PROXY}
    run(project, "make", "lint", python, **offline)
    run(project, "git", "init", "--quiet")
    run(project, "git", "add", "--all")
    run(project, "make", "check", python, **offline)


RECORDER = """#!/bin/sh
[ "$1" != --version ] || exit 0
echo "$UV_DEFAULT_INDEX $*" >> "$RECORD"
exit ${STATUS:-0}
"""


@pytest.fixture
def fresh(cookies: Cookies, tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    """Return a function that runs a command of make in a new project, and returns what uv and pip are told to do.

    Both only write it down, and uv is on the PATH. What the command would start says so.
    """
    project = Project(cookies.bake().project_path, Variant("sqlite", "async", "alembic"))
    uv, record = tmp_path / "bin" / "uv", tmp_path / "record"
    uv.parent.mkdir()
    uv.write_text(RECORDER)
    uv.chmod(0o755)
    run(project, sys.executable, "-m", "venv", "--without-pip", ".venv")
    [packages] = project.path.glob(".venv/lib/*/site-packages")
    for module in ("uvicorn", "pytest"):
        (packages / f"{module}.py").write_text("import sys; print('started', *sys.argv[1:])\n")
    pip = (
        "import os, sys; 'install' in sys.argv and print('pip', *sys.argv[1:], file=open(os.environ['RECORD'], 'a'))\n"
    )
    (packages / "pip.py").write_text(pip)

    def make(*arguments: str, status: int = 0, folder: Path = project.path, **variables: str) -> list[str]:
        record.write_text("")
        paths = {"PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}", "RECORD": str(record)}
        environment = clean_environment() | {"PIP_CONFIG_FILE": os.devnull} | paths | variables
        make.output = execute(["make", f"PYTHON={sys.executable}", *arguments], folder, environment, status)
        return [line.strip().replace("--python .venv/bin/python ", "") for line in record.read_text().splitlines()]

    make.path = project.path
    return make


def test_make_installs_what_is_asked_for(fresh: Callable[..., list[str]]) -> None:
    """To run needs less than to test; nothing is installed twice, but when another list is asked for."""
    assert fresh("run") == ["pip install --requirements pyproject.toml pip"]
    assert "started app.main:app" in fresh.output
    assert fresh("test") == ["pip install --requirements pyproject.toml --group dev pip"]
    pyproject = fresh.path / "pyproject.toml"
    for change in (lambda text: text, lambda text: text.replace("line-length = ", "line-length = 1")):
        pyproject.write_text(change(pyproject.read_text()))
        os.utime(pyproject, (time.time() + 60, time.time() + 60))
        assert fresh("run") == fresh("test") == []
    text = pyproject.read_text()
    pyproject.write_text(text.replace('"fastapi>=', '"fastapi>'))
    assert fresh("test", STATUS="1")[1:] == ["pip install --upgrade pip>=25.1", "pip install --editable . --group dev"]
    pyproject.write_text(text)
    assert fresh("test") != []  # the other list may have been installed in part
    (fresh.path / "uv.lock").write_text("version = 1\n")
    sync = "sync --locked --inexact --no-install-project --no-default-groups"
    assert fresh("run") == [sync]
    assert fresh("test") == [f"{sync} --group dev"]
    assert fresh("test", STATUS="1") == []


def test_make_asks_the_index_of_pip(fresh: Callable[..., list[str]], tmp_path: Path) -> None:
    """The index that pip is configured with is uv's, too, with its credentials."""
    index = "https://ada:hunter2@packages.example.com/simple"  # pragma: allowlist secret
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\nindex-url = {index}\nextra-index-url = https://example.com/more\n")
    [line] = fresh("run", PIP_CONFIG_FILE=str(configuration))
    assert line.startswith(f"{index} pip install ")
    assert fresh("test", PIP_INDEX_URL="https://example.com/simple")[0].startswith("https://example.com/simple pip")


def test_make_in_another_place(fresh: Callable[..., list[str]]) -> None:
    """An environment that was moved, or whose Python has gone, is no riddle: a line says what to do."""
    fresh("test")
    words = ".venv was moved, or its Python is another one or gone: rm -rf .venv\n"
    moved = fresh.path.with_name("moved")
    shutil.copytree(fresh.path, moved, symlinks=True)
    for target in ("run", "test", "lint", "hooks"):
        assert fresh(target, folder=moved, status=2) == []
        assert fresh.output.startswith(words)
    shutil.rmtree(moved / ".venv")
    (moved / ".venv").symlink_to(fresh.path / ".venv")  # shared
    assert fresh("test", folder=moved) == []
    python = fresh.path / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    for path in (fresh.path / ".venv").glob(".*"):  # and if another tool has made it
        assert fresh("test", status=2) == []
        assert fresh.output.startswith(words)
        path.unlink()
    assert fresh("test", status=2) == []


@pytest.mark.slow
def test_subfolder(cookies: Cookies, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a folder of a larger repository, this folder is checked, and no other, at each commit and by make."""
    folder = tmp_path / "services" / "shop"
    shutil.copytree(cookies.bake().project_path, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "other.py").write_text("import os\nx = = 1\n")
    (folder / ".venv").symlink_to(environment(MAIN))
    project = Project(folder, Variant("sqlite", "async", "alembic"))
    variables = {"MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy"), "PATH": "/usr/bin:/bin"}

    def do(*command: str, status: int = 0, **more: str) -> str:
        return execute(command, folder, clean_environment() | NO_GIT_CONFIGURATION | variables | more, status)

    do("git", "init", "--quiet", str(tmp_path))
    do("git", "config", "user.name", "Ada")
    do("git", "config", "user.email", "ada@example.com")
    do("git", "add", "--all", str(tmp_path))
    assert not {".venv", ".env"} & set(do("git", "ls-files").splitlines())
    assert len(re.findall("Passed$", do("make", "check", "DEVELOP="), re.MULTILINE)) > 8
    assert "safe.directory" in do("make", "check", "DEVELOP=", status=2, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    do("make", "hooks", "DEVELOP=")
    commit = ("git", "commit", "--message", "Begin")
    (folder / "app" / "new.py").write_text("import os\n")
    do("git", "add", "app/new.py")
    assert "F401" in do(*commit, status=1)
    do("git", "rm", "--quiet", "--force", "app/new.py")
    assert "layers" in do(*commit, SKIP="mypy")
    (tmp_path / "other.py").write_text("import sys\nx = = 1\n")
    assert "layers" not in do(*commit, "--all")
    assert do("git", "status", "--short") == ""
    assert project.path == folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [Variant("sqlite", "async", "alembic"), Variant("postgresql", "sync", "create_all")], ids=str
)
def test_wheel(cookies: Cookies, variant: Variant, tmp_path: Path) -> None:
    """A wheel of the service, installed elsewhere, prepares, checks and starts, from any folder."""
    project = Project(cookies.bake(extra_context=variant.answers).project_path, variant)
    run(project, *UV, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path))
    [wheel] = tmp_path.glob("*.whl")
    run(project, *UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"))
    run(project, *UV, "pip", "install", "--quiet", "--python", str(tmp_path / "venv"), str(wheel))
    shutil.rmtree(project.path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    url, name = "sqlite:///service.db", f"verify_{uuid.uuid4().hex[:16]}"
    if variant.database != "sqlite":
        url = f"{need_server(variant.database).rpartition('/')[0]}/{name}"
    python, settings = str(tmp_path / "venv" / "bin" / "python"), clean_environment() | {"DATABASE_URL": url}
    try:
        for command in ("prepare", "check"):
            assert "ready in" in execute([python, "-m", "app.database", command], elsewhere, settings)
        start = "from fastapi.testclient import TestClient; from app.main import app\n"
        start = "import asyncio; from app.main import app; print(app.title, app.version)\n"
        start += "async def main():\n    async with app.router.lifespan_context(app): print('started')\n"
        assert f"{variant} 0.1.0\n" in (
            output := execute([python, "-c", f"{start}asyncio.run(main())"], elsewhere, settings)
        )
        assert "started" in output
    finally:
        if variant.database != "sqlite":
            drop_databases(need_server(variant.database), name)


def test_server_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not let the tests in is as good as none; they say which variable may name another one."""
    server_url.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and no more
        port = server.getsockname()[1]
        monkeypatch.setenv("POSTGRESQL_URL", f"postgresql://postgres@127.0.0.1:{port}/postgres?connect_timeout=2")
        monkeypatch.delenv("REQUIRE_SERVERS", raising=False)
        with pytest.raises(pytest.skip.Exception, match="lets us in; POSTGRESQL_URL may name one"):
            need_server("postgresql")
    server_url.cache_clear()


def test_read_only(cookies: Cookies) -> None:
    """The tests need not write into the folder of the project."""
    project = Project(cookies.bake().project_path, Variant("sqlite", "async", "alembic"))
    (project.path / ".pytest_cache").touch()  # the superuser may write anywhere, but no folder there
    assert " passed" in project.run("pytest", "-q", "tests/guarantees/test_models.py")


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
        text = re.sub(r"(?<![\w./])/(venv|service|data)\b", rf"{self.root}/\1", text)
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
        added = re.match(r"echo '\S+' >> /etc/passwd(?: && mkdir (\S+) && chown 1000 \S+)?$", rest)
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


@pytest.mark.slow
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
    pyproject = project.path / "pyproject.toml"
    declared = pyproject.read_text()
    run(project, *UV, "lock", "--quiet")
    pyproject.write_text(declared.replace('"uvicorn[standard]>', '"uvicorn>'))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        Image(project, tmp_path, free_port()).build(project.path / "Dockerfile")
    assert b"`uv.lock` needs to be updated" in refused.value.stderr
    pyproject.write_text(declared)
    image.build(project.path / "Dockerfile")
    assert image.user == "1000"
    tools = {"uv", "pip", "mypy", "pytest"}
    assert not tools & {path.name for path in (tmp_path / "venv" / "bin").iterdir()}
    shutil.rmtree(tmp_path / "python" / "lib")  # the first stage is over: nothing of it is needed

    url = f"sqlite:///{tmp_path}/data/service.db"
    if variant.database != "sqlite":
        url = f"{need_server(variant.database).rpartition('/')[0]}/verify_{uuid.uuid4().hex[:16]}"
    variables = {"DATABASE_URL": url, "OTEL_EXPORTER_OTLP_ENDPOINT": silent_collector, **DEAD_PROXY}
    variables["NO_PROXY"] = variables["no_proxy"] = "collector,127.0.0.1:" + silent_collector.rpartition(":")[2]
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
