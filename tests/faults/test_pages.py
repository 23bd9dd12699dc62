"""What a page costs: as many rows are read for the last one as for the first, in any order."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.conftest import Project, only
from tests.databases import connect

pytestmark = pytest.mark.faults

ROWS = 10_000
LIMIT = 20
STATEMENTS = """
from sqlalchemy.dialects import {0}
from app.web.queries import page
from app.models.product import Product

for name in ("id", "name"):
    for descending in (False, True):
        for after in (None, 10, {1} // 2, {1} - 10):
            query = page(Product, name, descending=descending, first=after is None)
            values = {{"limit": {2}}} if after is None else {{"limit": {2}, "after": after}}
            options = {{"literal_binds": True}}
            statement = query.params(values).compile(dialect={0}.dialect(), compile_kwargs=options)
            print(" ".join(str(statement).split()))
"""
DIGITS = f"({' UNION ALL '.join(f'SELECT {digit} AS digit' for digit in range(10))})"
FILL = f"""
INSERT INTO products (name, price, quantity)
SELECT CAST(10000 + 1000 * a.digit + 100 * b.digit + 10 * c.digit AS CHAR(5)), 1, 1
FROM {DIGITS} AS a CROSS JOIN {DIGITS} AS b CROSS JOIN {DIGITS} AS c CROSS JOIN {DIGITS} AS d
"""
ANALYZE = {"postgresql": "VACUUM ANALYZE products", "mysql": "ANALYZE TABLE products", "sqlite": "ANALYZE"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of what PostgreSQL does."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def count_rows(connection: Any, statement: str) -> int:
    """Return how many rows, or entries of an index, a statement makes the database look at."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}").scalar()
        plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
        return int(sum(one["Actual Rows"] + one.get("Rows Removed by Filter", 0) for one in nodes(plan)))
    if connection.dialect.name == "mysql":
        connection.exec_driver_sql("FLUSH STATUS")
        assert connection.exec_driver_sql(statement).all()
        counts = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'")).all()
        return sum(int(number) for _, number in counts)
    steps = []
    driver: sqlite3.Connection = connection.connection.driver_connection
    driver.set_progress_handler(lambda: steps.append(1), 20)  # about those for a row
    assert driver.execute(statement).fetchall()
    driver.set_progress_handler(None, 0)
    return len(steps)


@only(engine=("sync",), migrations=("alembic",))
def test_rows_read(project: Project, database_url: str) -> None:
    """A page of 20 looks at some 20 rows wherever it is; each name is that of ten."""
    project.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    database = project.variant.database
    script = STATEMENTS.format(database, ROWS, LIMIT)
    statements = project.run("python", "-c", script, DATABASE_URL=database_url).splitlines()
    assert len(statements) == 16
    with connect(database_url) as connection:
        connection.execute(text(FILL))
        connection.exec_driver_sql(ANALYZE[database])
        for statement in statements:
            assert count_rows(connection, statement) < 5 * LIMIT, statement
