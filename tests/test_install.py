"""A project in an environment of its own, from what it declares alone: a shared one hides what is missing."""

import os
import re
import subprocess
import sys

import pytest
from pytest_cookies.plugin import Cookies

from tests.conftest import Project, clean_environment, free_port, need_server
from tests.variants import UV, Variant

OWN = [
    Variant("sqlite", "sync", "alembic"),
    Variant("postgresql", "async", "create_all"),
    Variant("mysql", "async", "alembic"),
]


def run(project: Project, *command: str, **variables: str) -> str:
    """Run a command as its user would, with no environment but the project's own."""
    environment = clean_environment() | variables
    result = subprocess.run(
        command,
        cwd=project.path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


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
    """`make test`, `make lint` and `make run` need nothing but Python, make and a package index."""
    project = Project(cookies.bake().project_path, Variant("sqlite", "async", "alembic"))
    python = f"PYTHON={sys.executable}"
    assert re.search(r"\d{3} passed", run(project, "make", "test", python))
    run(project, "make", "lint", python, MYPY_CACHE_DIR=str(tmp_path_factory.getbasetemp() / "mypy"))
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
