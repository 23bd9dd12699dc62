"""The life of a service: its team changes the schema again and again, while the tables are full."""

import re
import shutil
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Project, serve
from tests.databases import sql
from tests.test_variants import server_of
from tests.variants import VARIANTS

pytestmark = pytest.mark.slow

SHOP = '''"""What customers say, and order."""

import enum
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, Enum, ForeignKey, Integer, String, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Entity


class Cents(TypeDecorator[Decimal]):
    """Money, stored as a whole number of cents."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


class Progress(enum.Enum):
    """How far an order is."""

    NEW = "new"
    PAID = "paid"


class Review(Entity):
    """What a user says of a product."""

    __tablename__ = "reviews"

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("reviews.id"), index=True)
    stars: Mapped[int] = mapped_column(server_default="3")

    __table_args__ = (CheckConstraint("stars > 0", name="stars"),)


class Order(Entity):
    """What a user buys."""

    __tablename__ = "order"

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    total: Mapped[Decimal] = mapped_column(Cents)
    status: Mapped[Progress] = mapped_column(Enum(Progress))
    note: Mapped[str | None] = mapped_column(String(20))
'''
MODELS = "app/models/shop.py"
AUDIT = '''"""Who did what."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Entity


class Entry(Entity):
    """What a user did."""

    __tablename__ = "entries"
    __table_args__ = {"schema": "audit"}  # noqa: RUF012

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
'''
PLACES = '''

class Alley(Entity):
    """Where zones are."""

    __tablename__ = "alleys"

    name: Mapped[str] = mapped_column(String(20))


class Zone(Entity):
    """Where things are."""

    __tablename__ = "zones"

    alley_id: Mapped[int] = mapped_column(ForeignKey("alleys.id"), index=True)
'''
CIRCLE = '''

class Member(Entity):
    """Who is in a team."""

    __tablename__ = "members"

    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id", use_alter=True), index=True)


class Team(Entity):
    """Who has a captain."""

    __tablename__ = "teams"

    captain_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"), index=True)
'''
FILL = [
    "INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob')",
    "INSERT INTO products (name, price, quantity) VALUES ('Lamp', 9.9, 3), ('Desk', 99, 1), ('Chair', 49, 4)",
    "INSERT INTO reviews (product_id, user_id, stars) SELECT p.id, u.id, 5 FROM products p, users u",
    "INSERT INTO reviews (product_id, answers_id, stars) SELECT product_id, id, 1 FROM reviews",
    "INSERT INTO {order} (product_id, total, status) SELECT id, 100, 'NEW' FROM products",
]

RENAME = """
old, new = "{old}", "{new}"
op.rename_table(old, new)
columns = {{"product_id": "products", "user_id": "users", "answers_id": "{new}"}}
actions = {{"product_id": "CASCADE", "user_id": "SET NULL"}}
with op.batch_alter_table(new) as batch:
    for column, target in columns.items():
        name = f"fk_{{old}}_{{column}}_{{target if target != new else old}}"
        batch.drop_constraint(name, type_="foreignkey")
        batch.drop_index(f"ix_{{old}}_{{column}}")
    batch.drop_constraint(op.f(f"ck_{{old}}_stars"), type_="check")
    if op.get_bind().dialect.name not in ("mysql", "mariadb"):
        batch.drop_constraint(f"pk_{{old}}", type_="primary")
        batch.create_primary_key(op.f(f"pk_{{new}}"), ["id"])
    batch.create_check_constraint(op.f(f"ck_{{new}}_stars"), "stars > 0")
    for column, target in columns.items():
        batch.create_index(op.f(f"ix_{{new}}_{{column}}"), [column])
        batch.create_foreign_key(
            op.f(f"fk_{{new}}_{{column}}_{{target}}"),
            target,
            [column],
            ["id"],
            ondelete=actions.get(column),
        )
"""

CODES = (
    """
    op.add_column("order", sa.Column("code", sa.String(30), nullable=True))
    orders = sa.table("order", sa.column("id"), sa.column("code"))
    connection = op.get_bind()
    for (number,) in connection.execute(sa.select(orders.c.id)).all():
        change = sa.update(orders).where(orders.c.id == number)
        connection.execute(change.values(code=f"order-{number}"))
    with op.batch_alter_table("order") as batch:
        batch.alter_column("code", existing_type=sa.String(30), nullable=False)
    op.create_index(op.f("ix_order_code"), "order", ["code"], unique=True)
    """,
    """
    op.drop_index(op.f("ix_order_code"), table_name="order")
    with op.batch_alter_table("order") as batch:
        batch.drop_column("code")
    """,
)
MEMBER = {
    "postgresql": """op.execute("ALTER TYPE progress ADD VALUE 'RETURNED'")""",
    "mysql": """
        with op.batch_alter_table("order") as batch:
            kind = sa.Enum("NEW", "PAID", "RETURNED", name="progress")
            batch.alter_column("status", type_=kind, existing_nullable=False)
    """,
}
MEMBER["sqlite"] = MEMBER["mysql"]
STARS = ("stars < 6", "stars > 0")
CORRECT = """
with op.batch_alter_table("opinions") as batch:
    batch.drop_constraint(op.f("ck_opinions_stars"), type_="check")
    batch.create_check_constraint(op.f("ck_opinions_stars"), "{check}")
    batch.alter_column(
        "stars",
        existing_type=sa.Integer(),
        existing_nullable=False,
        server_default="{default}",
    )
"""


@dataclass
class Life:
    """A project, its database, and the number of rows that each table has."""

    project: Project
    url: str
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> str:
        """Return which database it is."""
        return self.project.variant.database

    @property
    def order(self) -> str:
        """Return the name of a table that must be quoted, in quotes."""
        return "`order`" if self.database == "mysql" else '"order"'

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command with the service's database."""
        return self.project.run(*command, status=status, DATABASE_URL=self.url)

    def prepare(self, status: int = 0) -> str:
        """Apply the migrations as a release does."""
        output = self.run("python", "-m", "app.database", "prepare", status=status)
        assert "Traceback" not in output
        return output

    def suite(self, tests: str = "tests/guarantees/test_migrations.py", status: int = 0) -> str:
        """Run the project's own tests, of its migrations alone if nothing else is said."""
        return self.project.run(
            "pytest", "-q", "-p", "no:cacheprovider", tests, status=status, **server_of(self.project.variant)
        )

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Change a file."""
        path = self.project.path / name
        text = path.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text)
        self.run("ruff", "format", "--quiet", name)

    def generate(self, name: str, *changes: tuple[str, str]) -> None:
        """Let Alembic write a migration, and correct it."""
        self.run("alembic", "revision", "--autogenerate", "-m", name)
        self.edit(self.find(name), *changes)

    def write(self, name: str, upgrade: str, downgrade: str, *options: str) -> None:
        """Write a migration by hand."""
        self.run("alembic", "revision", "-m", name, *options)
        imports = "import sqlalchemy as sa\nfrom alembic import op\nfrom alembic.util import CommandError\n"
        bodies = (("Apply the change", upgrade), ("Take the change back", downgrade))
        lines = {f'"""{words}."""\n': textwrap.indent(textwrap.dedent(body), "    ") for words, body in bodies}
        changes = [(old, old + new.rstrip() + "\n") for old, new in lines.items()]
        self.edit(self.find(name), ("\nrevision = ", f"\n{imports}\nrevision = "), *changes)
        self.run("ruff", "check", "--fix", self.find(name))

    def find(self, name: str) -> str:
        """Return the path of a migration."""
        [path] = (self.project.path / "migrations" / "versions").glob(f"*_{name}.py")
        return str(path)

    def settle(self, *, back: bool = True) -> None:
        """Apply what is new, and take it back and apply it once more: the rows stay, and all is well."""
        self.prepare()
        self.count()
        if back:
            self.run("alembic", "downgrade", "-1")
            self.prepare()
            self.count()
        self.suite()

    def count(self) -> None:
        """Compare the numbers of rows with those that there should be."""
        for table, number in self.rows.items():
            assert sql(self.url, f"SELECT count(*) FROM {table}") == number, table


def begin(life: Life) -> None:
    """Add tables that refer to others and to themselves, one with a reserved name; a type of the team's own."""
    (life.project.path / MODELS).write_text(SHOP)
    life.run("ruff", "format", MODELS)
    drop_type = '\n    op.execute("DROP TYPE progress")' if life.database == "postgresql" else ""
    life.generate("shop", ('op.drop_table("order")', f'op.drop_table("order"){drop_type}'))
    life.prepare()
    for statement in FILL:
        sql(life.url, statement.format(order=life.order))
    life.rows = {"users": 2, "products": 3, "reviews": 12, life.order: 3, "reviews WHERE user_id IS NULL": 6}
    life.settle(back=False)


def widen(life: Life) -> None:
    """Widen a column: SQLite copies and drops the table to which all others refer."""
    life.edit("app/models/product.py", ("String(500)", "String(2000)"))
    life.generate("wider")
    life.settle()


def fill(life: Life) -> None:
    """Read in a migration, to fill a column that must have a value."""
    code = "    code: Mapped[str] = mapped_column(String(30), index=True, unique=True)\n"
    life.edit(MODELS, ("    total: ", f"{code}    total: "))
    life.write("codes", *CODES)
    life.settle()
    assert sql(life.url, f"SELECT count(*) FROM {life.order} WHERE code LIKE 'order-%'") == 3


def rename(life: Life) -> None:
    """Give a table another name, and its constraints and indexes, too."""
    life.edit(MODELS, ('"reviews"', '"opinions"'), ('"reviews.id"', '"opinions.id"'))
    names = {"old": "reviews", "new": "opinions"}, {"old": "opinions", "new": "reviews"}
    sequence = 'op.execute("ALTER SEQUENCE {old}_id_seq RENAME TO {new}_id_seq")\n'
    body = RENAME + (sequence if life.database == "postgresql" else "")
    life.write("opinions", *(body.format(**either) for either in names))
    for count in ("{}", "{} WHERE user_id IS NULL"):
        life.rows[count.format("opinions")] = life.rows.pop(count.format("reviews"))
    life.settle()


def extend(life: Life) -> None:
    """Add a member to an enum, which cannot be taken away again: the migration says so."""
    life.edit(MODELS, ('    PAID = "paid"\n', '    PAID = "paid"\n    RETURNED = "returned"\n'))
    life.suite(status=1)
    life.write("returned", MEMBER[life.database], 'raise CommandError("irreversible: there may be such orders")')
    life.settle(back=False)
    output = life.run("alembic", "downgrade", "-1", status=255)
    assert output.count("irreversible: there may be") == 1
    assert "Traceback" not in output
    sql(life.url, f"UPDATE {life.order} SET status = 'RETURNED'")


def correct(life: Life) -> None:
    """Change a check, and a default of the server: Alembic overlooks both, the suite does not."""
    for change, name in ((('"stars > 0"', f'"{STARS[0]}"'), "check_constraints"), (('"3"', '"4"'), "columns")):
        life.edit(MODELS, change)
        output = life.suite(status=1)
        assert f"opinions: {name}" in output
    bodies = (CORRECT.format(check=check, default=default) for check, default in zip(STARS, (4, 3), strict=True))
    life.write("stars", *bodies)
    life.settle()


def branch(life: Life) -> None:
    """Join two branches; until then, each command says how, in one line."""
    head = life.run("alembic", "heads").split()[0]
    life.edit(MODELS, ("    note: ", "    left: Mapped[int | None]\n    right: Mapped[int | None]\n    note: "))
    for name in ("left", "right"):
        add = f'op.add_column("order", sa.Column("{name}", sa.Integer()))'
        life.write(name, add, f'op.drop_column("order", "{name}")', "--head", head, "--splice")
    assert "alembic merge heads" in life.suite(status=1)
    for command in ("prepare", "check"):
        output = life.run("python", "-m", "app.database", command, status=1)
        assert output.count("alembic merge heads") == 1
        assert "Traceback" not in output
    life.run("alembic", "merge", "heads", "-m", "merge")
    life.settle(back=False)
    life.run("alembic", "downgrade", head)
    life.settle(back=False)


def spread(life: Life) -> None:
    """Add a table in a schema of its own, which PostgreSQL alone has within a database."""
    if life.database != "postgresql":
        return
    (life.project.path / "app" / "models" / "audit.py").write_text(AUDIT)
    create, drop = "    op.create_table(", '    op.drop_table("entries", schema="audit")\n'
    life.generate(
        "audit",
        (create, f'    op.execute("CREATE SCHEMA audit")\n{create}'),
        (drop, f'{drop}    op.execute("DROP SCHEMA audit")\n'),
    )
    life.settle()


def outgrow(life: Life) -> None:
    """Give a key room for more numbers, and what counts them, too."""
    life.edit(MODELS, ("class Order(Entity)", "class Order(BigEntity)"), ("import Entity", "import BigEntity, Entity"))
    if life.database != "sqlite":  # whose keys have it
        life.generate("big")
        life.settle()
    if life.database == "postgresql":
        kind = "SELECT data_type FROM pg_sequences WHERE sequencename = 'order_id_seq'"
        assert str(sql(life.url, f"SELECT ({kind})::text")) == "bigint"


def place(life: Life) -> None:
    """Change the index of a key; take two tables away with the keys to them: nothing is to be corrected by hand."""
    path = life.project.path / MODELS
    before, key = path.read_text(), 'mapped_column(ForeignKey("alleys.id"), index=True)'
    path.write_text(before.replace("    note: ", f"    alley_id: Mapped[int | None] = {key}\n    note: ") + PLACES)
    life.generate("places")
    life.settle()
    life.edit(MODELS, (f"Mapped[int] = {key}", f"Mapped[int] = {key.replace('index', 'unique')}"))
    life.generate("unique")
    life.settle()
    for name, index in (("bare", ""), ("indexed", ", index=True"), ("single", ", index=True, unique=True")):
        text = path.read_text()
        path.write_text(re.sub(r'(ForeignKey\("alleys\.id"\))[^)]*', rf"\1{index}", text))
        life.generate(name)
        life.settle()
    path.write_text(before)
    life.generate("placeless")
    life.settle()


def move(life: Life) -> None:
    """Change what stands beside an odd default; a key refers to a column that is new; two tables to each other."""
    path = life.project.path / MODELS
    odd = '    tint: Mapped[str] = mapped_column(String(20), server_default=":red 50%, it\'s")\n'
    life.edit(MODELS, ("    note: ", f"{odd}    note: "))
    life.generate("odd")
    life.settle()
    note = "    note: Mapped[str | None] = mapped_column(String({}))"
    wider_note = (note.format(20), note.format(40))
    for name, change in (("odd_note", wider_note), ("odd_tint", ("String(20), server", "String(30), server"))):
        life.edit(MODELS, change)
        life.generate(name)
        life.settle()
        assert sql(life.url, f"SELECT count(*) FROM {life.order} WHERE tint = '\\:red 50%, it''s'") == 3
    before = path.read_text()
    product = (life.project.path / "app/models/product.py").read_text()
    sku = "    sku: Mapped[str | None] = mapped_column(String(20), unique=True)\n"
    life.edit("app/models/product.py", ("    quantity: ", f"{sku}    quantity: "))
    key = '    sku: Mapped[str | None] = mapped_column(ForeignKey("products.sku"), index=True)\n'
    first = '"created_at"' if life.database == "sqlite" else 'desc("created_at")'  # which is not generated there
    newest = f'    __table_args__ = (Index("ix_order_newest", {first}, "id"),)\n\n'
    life.edit(
        MODELS,
        ('__tablename__ = "order"\n\n', f'__tablename__ = "order"\n{newest}'),
        ("    note: ", f"{key}    note: "),
        ("from sqlalchemy.orm", "from sqlalchemy import Index, desc\nfrom sqlalchemy.orm"),
    )
    if life.database != "sqlite":  # whose keys are not altered
        path.write_text(path.read_text() + CIRCLE)
        life.run("ruff", "format", "--quiet", MODELS)
    life.generate("moved")
    life.settle()
    path.write_text(before)
    (life.project.path / "app/models/product.py").write_text(product)
    life.generate("back")
    life.settle()


def reduce(life: Life) -> None:
    """Take a reference away, which has an index, and then a table with others: nothing is to be corrected by hand."""
    text = (life.project.path / MODELS).read_text()
    [column] = re.findall(r"    user_id: .*?\n(?=    \w+: )", text, re.DOTALL)
    life.edit(MODELS, (column, ""))
    life.generate("less")
    del life.rows["opinions WHERE user_id IS NULL"]
    life.settle()
    [model] = re.findall(r"class Review\(Entity\):.*?(?=class Order)", text.replace(column, ""), re.DOTALL)
    life.edit(MODELS, (model, ""))
    life.run("ruff", "check", "--fix", "--quiet", MODELS)
    life.generate("none")
    del life.rows["opinions"]
    life.settle()


def lives() -> pytest.MarkDecorator:
    """Return the mark of a test for all variants with migrations, of which `make test-all` runs three."""
    chosen = [variant for variant in VARIANTS if variant.migrations == "alembic"]
    others = ("sqlite-sync-alembic", "postgresql-async-alembic", "mysql-sync-alembic")
    marked = [pytest.param(v, id=str(v), marks=[pytest.mark.life] * (str(v) in others)) for v in chosen]
    return pytest.mark.parametrize("variant", marked, indirect=True)


@lives()
def test_life(project: Project, tmp_path: Path, database_url: str) -> None:
    """After each change of the schema, rows, tests and tools are as they should be."""
    path = Path(shutil.copytree(project.path, tmp_path / project.path.name))
    life = Life(Project(path, project.variant), database_url)
    life.prepare()
    for change in (begin, widen, fill, rename, extend, correct, branch, spread, outgrow, place, move, reduce):
        change(life)
    life.run("ruff", "check", "--no-cache")
    life.run("ruff", "format", "--check", "--no-cache")
    life.run("mypy", "--cache-dir", str(tmp_path / "mypy"))
    life.suite("tests")
    assert "No new upgrade operations" in life.run("alembic", "check")
    with serve(life.project, DATABASE_URL=life.url, DATABASE_PREPARE_ON_STARTUP="false") as (client, _):
        assert len(client.get("/api/v1/products").json()["items"]) == 3
    life.count()
