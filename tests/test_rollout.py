"""A release that migrates while the last one serves: what breaks that is named, and what does not is let pass."""

import re
import shutil
import textwrap
from pathlib import Path

import pytest

from tests.conftest import NO_GIT_CONFIGURATION, Project, clean_environment, execute
from tests.test_resource import run
from tests.test_variants import server_of
from tests.variants import VARIANTS, Variant

pytestmark = pytest.mark.slow

TABLES = '''"""A table for each change."""

import sqlalchemy as sa
from alembic import op

from app.models.base import Timestamp, now

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in {tables}:
        op.create_table(
            table,
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("name", sa.String(100), nullable=False),
            sa.Column("description", sa.String(500), nullable=True),
            sa.Column("price", sa.Numeric(10, 2), nullable=False),
            sa.Column("quantity", sa.Integer(), nullable=False),
            sa.Column("created_at", Timestamp(), server_default=now(), nullable=False),
            sa.Column("updated_at", Timestamp(), server_default=now(), nullable=False),
        )
        op.create_index(f"ix_{{table}}_name_id", table, ["name", "id"])
'''
MIGRATION = '''"""A change."""

import time

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down}"
table = "{table}"


def upgrade() -> None:
{body}
'''

NAP = {
    "postgresql": "op.execute(f'LOCK TABLE {table}'); op.execute('SELECT pg_sleep(7)')",
    "mysql": "op.execute(f'LOCK TABLES {table} WRITE'); op.execute('DO sleep(7)'); op.execute('UNLOCK TABLES')",
    "sqlite": "op.execute(f'UPDATE {table} SET id = id'); time.sleep(7)",
}
INDEX = {
    "postgresql": """
        with op.get_context().autocommit_block():
            op.create_index("ix_new", table, ["price"], postgresql_concurrently=True)
    """,
    "mysql": 'op.create_index("ix_new", table, ["price"])',
    "sqlite": 'op.create_index("ix_new", table, ["price"])',
}
CHECK = {
    "postgresql": """
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_new CHECK (price > -1) NOT VALID")
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_new")
    """,
    "mysql": 'op.create_check_constraint("ck_new", table, "price > -1")',
    "sqlite": """
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint("ck_new", "price > -1")
    """,
}


def batch(*calls: str) -> str:
    """Return changes of one table, by copying it where the database must."""
    lines = "".join(f"    batch.{call}\n" for call in calls)
    return f"with op.batch_alter_table(table) as batch:\n{lines}"


TEXT = "existing_type=sa.String(500), existing_nullable=True"
NUMBER = "existing_type=sa.Integer(), existing_nullable=False"


def unsafe(database: str) -> dict[str, str]:
    """Return changes that break the last release, or what it has stored."""
    required = 'add_column(sa.Column("code", sa.String(9), server_default="x", nullable=False))'
    no_default = 'alter_column("code", existing_type=sa.String(9), existing_nullable=False, server_default=None)'
    other_type = 'add_column(sa.Column("description", sa.Integer()))'
    return {
        "column_renamed": batch(f'alter_column("description", new_column_name="text", {TEXT})'),
        "column_dropped": batch('drop_column("description")'),
        "column_required": batch(required) + batch(no_default),
        "table_renamed": 'op.rename_table(table, "renamed")',
        "table_dropped": "op.drop_table(table)",
        "type_narrowed": 'op.execute(f"UPDATE {table} SET description = substr(description, 1, 50)")\n'
        + batch(f'alter_column("description", type_=sa.String(50), {TEXT})'),
        "type_changed": batch('drop_column("description")') + batch(other_type),
        "unique_added": 'op.execute(f"UPDATE {table} SET quantity = id")\n'
        + batch('create_unique_constraint("uq_new", ["quantity"])'),
        "check_added": 'op.execute(f"UPDATE {table} SET price = 1")\n'
        + batch('create_check_constraint("ck_new", "price < 10")'),
        "null_refused": "op.execute(f\"UPDATE {table} SET description = 'x' WHERE description IS NULL\")\n"
        + batch('alter_column("description", existing_type=sa.String(500), nullable=False)'),
        "lock_held": NAP[database],
    }


def safe(database: str) -> dict[str, str]:
    """Return changes beside which the last release can serve."""
    key = 'sa.ForeignKey("users.id", name="fk_new")'
    return {
        "column_added": batch('add_column(sa.Column("code", sa.String(9)))'),
        "default_added": batch('add_column(sa.Column("code", sa.String(9), server_default="x", nullable=False))'),
        "table_added": 'op.create_table("added", sa.Column("id", sa.Integer(), primary_key=True))',
        "index_added": INDEX[database],
        "type_widened": batch(
            'alter_column("name", type_=sa.String(200), existing_type=sa.String(100), nullable=False)'
        ),
        "index_dropped": 'op.drop_index(f"ix_{table}_name_id", table)',
        "key_added": batch(f'add_column(sa.Column("user_id", sa.Integer(), {key}))'),
        "rows_filled": batch('add_column(sa.Column("code", sa.String(100)))')
        + 'op.execute(f"UPDATE {table} SET code = name")',
        "check_fulfilled": CHECK[database],
        "null_allowed": batch('alter_column("quantity", existing_type=sa.Integer(), nullable=True)'),
    }


def add_resources(project: Path, names: list[str]) -> None:
    """Add resources like products, and a migration for their tables."""
    for name in names:
        model = name.title().replace("_", "")
        for file in ("app/models/product.py", "app/schemas/product.py", "app/api/routes/products.py"):
            text = (project / file).read_text().replace("Product", model).replace("product", name)
            (project / file.replace("product", name)).write_text(text)
    tables = [f"{name}s" for name in names]
    (project / "migrations" / "versions" / "0002_tables.py").write_text(TABLES.format(tables=tables))


def release(project: Project, folder: Path, changes: dict[str, str]) -> Project:
    """Return a service of which v1.0.0 serves a table for each change, and the files of now change them."""
    path = Path(shutil.copytree(project.path, folder / "service"))
    run(Project(path, project.variant), name="rollout")
    add_resources(path, list(changes))
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "1.0.0"], ["tag", "v1.0.0"]):
        execute([*git, *command], path, clean_environment() | NO_GIT_CONFIGURATION)
    for number, (name, change) in enumerate(changes.items(), 3):
        body = textwrap.indent(textwrap.dedent(change).strip(), "    ")
        numbers = {"revision": f"{number:04}", "down": f"{number - 1:04}"}
        text = MIGRATION.format(**numbers, table=f"{name}s", body=body)
        (path / "migrations" / "versions" / f"{number:04}_{name}.py").write_text(text)
    return Project(path, project.variant)


def roll_out(service: Project, status: int, *arguments: str) -> str:
    """Roll out the files of now beside the last release."""
    server = server_of(service.variant)
    return service.run("python", "-m", "tests.rollout", *arguments, status=status, **server, **NO_GIT_CONFIGURATION)


def some() -> pytest.MarkDecorator:
    """Return the mark of a test for a variant of each database."""
    names = ("sqlite-sync-alembic", "postgresql-async-alembic", "mysql-sync-alembic")
    chosen = [pytest.param(v, id=str(v), marks=pytest.mark.life) for v in VARIANTS if str(v) in names]
    return pytest.mark.parametrize("variant", chosen, indirect=True)


@some()
def test_unsafe(project: Project, variant: Variant, tmp_path: Path) -> None:
    """What the last release cannot live with is named, each by what it is about."""
    changes = unsafe(variant.database)
    output = roll_out(release(project, tmp_path, changes), 1)
    faults = [line for line in output.splitlines() if line.startswith("ERROR: the last release, v1.0.0")]
    late = [line for line in faults if "took longer than 5 s" in line]
    answers = [line for line in faults if line not in late]
    noticed = {name for name in changes if any(f"/{name}s" in line for line in answers)}
    assert noticed >= changes.keys() - {"lock_held"}, output
    assert any("/lock_helds " in line for line in late), output
    assert "before the migrations" not in output
    assert any("GET /health/ready was answered 503" in line for line in answers), output
    assert "Traceback" not in output
    assert not any("/products" in line or "/users" in line for line in answers), output


@some()
def test_safe(project: Project, variant: Variant, tmp_path: Path) -> None:
    """What the last release can live with is let pass."""
    changes = safe(variant.database)
    output = roll_out(release(project, tmp_path, changes), 0)
    assert "Both releases serve" in output
    assert "left out" not in output
    [stored] = re.findall(r"^(\d+) rows were stored", output, re.MULTILINE)
    assert int(stored) > 2 * len(changes)


@some()
def test_rows_in_the_way(project: Project, variant: Variant, tmp_path: Path) -> None:
    """A migration that what the last release has stored is in the way of; no release to compare with."""
    service = release(project, tmp_path, {"unique_refused": batch('create_unique_constraint("uq_new", ["quantity"])')})
    assert "ERROR: the migrations fail: ERROR: migration 0003_unique_refused.py" in roll_out(service, 1)
    assert re.search("^ERROR: .*v9.* - name the last release", roll_out(service, 1, "v9"), re.MULTILINE)
    shutil.rmtree(service.path / ".git")
    output = roll_out(service, 1)
    assert re.search("^ERROR: .*not a git repository.* - name the last release", output, re.MULTILINE)
    assert "Traceback" not in output
