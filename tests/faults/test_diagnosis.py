"""What is wrong is one line, which says what helps: for the step that failed, and without what is in the rows."""

import re
import subprocess

import certifi
import pytest
from sqlalchemy import make_url

from tests.conftest import MAIN, SERVERS, Project, clean_environment, free_port, need_server, only
from tests.databases import sql
from tests.faults.test_start import add_migration
from tests.variants import Variant, environment

pytestmark = pytest.mark.faults

PREPARE = ("python", "-m", "app.database", "prepare")
CHECK = ("python", "-m", "app.database", "check")
UPGRADE = ("alembic", "upgrade", "head")

CAST = {
    "postgresql": "ALTER TABLE users ALTER COLUMN name TYPE integer USING name::integer",
    "mysql": "UPDATE users SET is_active = name",
    "sqlite": "SELECT no_such_function(name) FROM users",
}
READ = "import sqlalchemy as sa; raise KeyError(op.get_bind().scalar(sa.text('SELECT name FROM users')))"
LEFT = {
    "mysql": "up to the last change of a table, MySQL has kept all",
    "postgresql": "nothing of it was changed",
    "sqlite": "nothing was changed",
}


def error_of(output: str) -> str:
    """Return the one line that says what is wrong."""
    assert "Traceback" not in output
    [line] = [line for line in output.splitlines() if re.search(r"ERROR: |Wrong settings", line)]
    return line


@only(migrations=("alembic",))
def test_failed_migration(stressed: Project, database_url: str, variant: Variant) -> None:
    """A migration that fails is named, with its line and what helps; no row is quoted, by whichever command."""
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    users = "INSERT INTO users (email, name) VALUES ('ada@s3cret', 'Ada S3cret'), ('bob@s3cret', 'Ada S3cret')"
    product = "INSERT INTO products (name, price, quantity) VALUES ('S3cret', 1, 1)"
    sql(database_url, users, product)
    statements = {
        "unique index": "op.create_index('uq_users_name', 'users', ['name'], unique=True)",
        "unique": "op.execute(\"UPDATE users SET email = 'ada@' || 's3cret'\")",
        "not null": "op.execute('INSERT INTO users (email, name) SELECT name, NULL FROM users')",
        "check": "op.execute('UPDATE products SET price = -price')",
        "cast": f"op.execute('{CAST[variant.database]}')",
    }
    if variant.database == "mysql":
        statements["unique"] = "op.execute(\"UPDATE users SET email = concat('ada@', 's3cret')\")"
    for name, line in statements.items():
        add_migration(stressed, line)
        for command in (PREPARE, UPGRADE) if name == "not null" else (PREPARE,):
            output = stressed.run(*command, status=1, DATABASE_URL=database_url)
            found = error_of(output)
            assert "migration 0002_added.py, line 6: " in found, name
            assert LEFT[variant.database] in found, name
            assert found.endswith("correct the migration, or the rows that are in its way"), name
            assert not re.search("s3cret", output, re.IGNORECASE), name
    for line, words in {READ: "KeyError", "def": "SyntaxError"}.items():
        add_migration(stressed, line)
        output = stressed.run(*PREPARE, status=1, DATABASE_URL=database_url)
        found = error_of(output)
        assert f"migration 0002_added.py, line 6: {words} - {LEFT[variant.database]}" in found
        assert found.endswith("`alembic upgrade head` tells more")
        assert not re.search("s3cret", output, re.IGNORECASE)
        assert "Traceback" in stressed.run(*UPGRADE, status=1, DATABASE_URL=database_url)
    assert "line 6: SyntaxError" in error_of(stressed.run(*CHECK, status=1, DATABASE_URL=database_url))
    add_migration(stressed, statements["unique index"])
    command = [environment(MAIN) / "bin" / "uvicorn", "app.main:app", "--port", str(free_port())]
    variables = {"DATABASE_URL": database_url, "DATABASE_PREPARE_ON_STARTUP": "true"}
    result = subprocess.run(
        command, cwd=stressed.path, env=clean_environment() | variables, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "migration 0002_added.py, line 6: " in result.stderr
    assert not re.search("Traceback|s3cret", result.stderr, re.IGNORECASE)


CHARACTER_SETS = {
    "mysql": ("CHARACTER SET latin1", "CHARACTER SET utf8mb3"),
    "postgresql": tuple(f"ENCODING '{name}' TEMPLATE template0 LOCALE 'C'" for name in ("LATIN1", "SQL_ASCII")),
}


@only(database=SERVERS)
def test_characters(stressed: Project, database_url: str, variant: Variant) -> None:
    """A database that cannot hold every character is refused; what the line says to run makes it usable."""
    server, name = need_server(variant.database), make_url(database_url).database
    for option in CHARACTER_SETS[variant.database]:
        sql(server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} {option}")
        if variant.database == "mysql":
            sql(database_url, "CREATE TABLE legacy (name VARCHAR(9))")  # somebody else's
        for command in (PREPARE, CHECK):
            line = error_of(stressed.run(*command, status=1, DATABASE_URL=database_url))
            assert "cannot hold all characters" in line
    if variant.database == "postgresql":
        assert "ENCODING 'UTF8' TEMPLATE template0" in line
        return
    sql(database_url, line.partition(" - run ")[2])
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    sql(database_url, "ALTER TABLE users CONVERT TO CHARACTER SET latin1")
    line = error_of(stressed.run(*CHECK, status=1, DATABASE_URL=database_url))
    sql(database_url, line.partition(" - run ")[2])
    stressed.run(*CHECK, DATABASE_URL=database_url)
    assert "legacy" not in line


OPTIONS = {
    "postgresql": [
        ("sslmode=disable&application_name=shop", None),
        ("sslmode=prefer&options=-c%20search_path%3Dpublic", None),
        (f"sslmode=verify-full&sslrootcert={certifi.where()}", "option after the [?]"),
        ("sslmode=sure", "sslmode.* - correct DATABASE_URL: .*an option"),
        ("schema=public", '"schema" - correct DATABASE_URL: .*an option'),
    ],
    "mysql": [
        ("ssl-mode=PREFERRED&charset=utf8mb4", None),
        (f"ssl-mode=VERIFY_CA&ssl-ca={certifi.where()}", "option after the [?]"),
        ("sslaccept=strict", "unknown option sslaccept; those of TLS"),
    ],
}


@only(database=SERVERS, migrations=("create_all",))
def test_options(stressed: Project, database_url: str, variant: Variant) -> None:
    """Options of a URL, as providers write them, are understood, or there is a line that says which is not."""
    for options, words in OPTIONS[variant.database]:
        status = 1 if words else 0
        output = stressed.run(*PREPARE, status=status, DATABASE_URL=f"{database_url}?{options}")
        assert words is None or re.search(words, error_of(output)), options


LONG = """
from sqlalchemy import text
from app.database.engine import get_engine
with get_engine().begin() as connection:
    connection.execute(text("INSERT INTO users (email, name) VALUES ('ada@example.com', repeat('a', 200))"))
"""


@only(database=("mysql",), engine=("sync",), migrations=("create_all",))
def test_strict(stressed: Project, database_url: str, variant: Variant) -> None:
    """On a server that would cut what is too long, nothing is stored but what the service says."""
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    output = stressed.run("python", "-c", LONG, status=1, DATABASE_URL=f"{database_url}?sql_mode=ALLOW_INVALID_DATES")
    assert "Data too long for column 'name'" in output
