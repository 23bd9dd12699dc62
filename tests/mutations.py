"""Take the lines out that the guarantees rest on, one at a time, and see whether a test notices.

    python -m tests.mutations           everything
    python -m tests.mutations faults    only the second part
    python -m tests.mutations 3 12      only these points of it

First the database layer of every variant is broken in six ways, for the tests that its users get. Then, for each point
of what a service withstands, the line is taken out that makes it so, for the one test that is about it. Both print a
table, and fail when a fault was not noticed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import MAIN, clean_environment
from tests.test_service import add_tests
from tests.variants import ROOT, VARIANTS, Variant, environment

DEPENDENCY, LIMITER = "app/dependencies/database.py", "app/database/limiter.py"
TRANSACTION = "app/database/transaction.py"
Edit = Callable[[Path], None]


def replace(name: str, pattern: str, replacement: str, count: int = 1) -> Edit:
    """Return a function that edits one file of a project; it fails where there is less to edit."""

    def edit(project: Path) -> None:
        path = project / name
        text, found = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=count)
        assert found == count, f"{name}: {pattern}"
        path.write_text(text, encoding="utf-8")

    return edit


def drop_a_column(project: Path) -> None:
    """Take a column out of the migration; where there is none, out of what create_all creates."""
    if (project / "migrations").exists():
        replace(next((project / "migrations" / "versions").glob("*.py")).relative_to(project).as_posix(),
                r'        sa\.Column\("description".*\n', "")(project)  # fmt: skip
    else:
        create = "        Base.metadata.create_all(connection)\n"
        drop = "        connection.exec_driver_sql('ALTER TABLE products DROP COLUMN description')\n"
        replace("app/database/schema.py", re.escape(create), create + drop)(project)


MUTATIONS = {
    "no commit": replace(DEPENDENCY, r" +await commit\(session\)\n", ""),
    "commit after the answer": replace(DEPENDENCY, r', scope="function"', ', scope="request"', count=2),
    "no rollback": replace(DEPENDENCY, r" +await roll_back\(session\)\n", ""),
    "session never closed": replace(DEPENDENCY, r"await close\(session\)", "pass", 2),
    "a column is missing": drop_a_column,
    "startup does not prepare": replace("app/database/startup.py", r"        if prepare:\n", "        if False:\n"),
}


POINTS = {
    1: "a 2xx means stored",
    2: "nothing waits for ever",
    3: "no connection leaks",
    4: "the database goes away and comes back",
    5: "starting is a race that everybody wins",
    6: "the database is late or wrong",
    7: "constraint violations are answers",
    8: "SQLite for real",
    9: "async traps cannot be met by accident",
    10: "stopping is clean",
    11: "behind PgBouncer",
    12: "bounded by default",
}


@dataclass(frozen=True)
class Cut:
    """What is taken out of one variant, and the test that is to notice."""

    point: int
    variant: str
    test: str
    """One of the generated project's own; with / before it, one of `tests/faults`; with +, one of `tests/service`."""

    file: str
    old: str
    """Text that is replaced wherever it stands."""

    new: str | None = None
    """None: the lines with the text are taken out."""

    def edit(self, project: Path) -> None:
        """Make the cut; fail where there is nothing to cut."""
        path = project / self.file
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        assert any(self.old in line for line in lines), self
        if self.new is None:
            lines = [line for line in lines if self.old not in line]
        else:
            lines = [line.replace(self.old, self.new) for line in lines]
        path.write_text("".join(lines), encoding="utf-8")


DIALECT, DIAGNOSIS = "app/database/dialect.py", "app/database/diagnosis.py"
STARTUP, SCHEMA = "app/database/startup.py", "app/database/schema.py"
CREATION = "app/database/creation.py"
POOL, SESSION = "app/database/pool.py", "app/database/session.py"
PROBLEMS = "app/web/problems.py"
MODEL, RULES, TRACKING = "app/models/base.py", "app/models/rules.py", "app/models/tracking.py"

CUTS = [
    Cut(1, "postgresql-async-alembic", "/test_killed_before_commit", DEPENDENCY, 'scope="function"', 'scope="request"'),
    Cut(1, "mysql-sync-create_all", "test_failure_stores_nothing",
        DEPENDENCY, 'scope="function"', 'scope="request"'),
    Cut(1, "sqlite-sync-alembic", "test_failure_stores_nothing", DEPENDENCY, "await roll_back(session)"),
    Cut(1, "mysql-sync-alembic", "test_reading_session_refuses_to_write",
        DEPENDENCY, "    session.flush()", "    pass"),
    Cut(1, "postgresql-async-create_all", "test_reading_elsewhere",
        "app/database/engine.py", "refuse_writes(engine.sync_engine)", "pass"),
    Cut(1, "postgresql-sync-create_all", "test_changes_in_place", TRACKING, "@event.listens_for("),
    Cut(1, "sqlite-sync-create_all", "+test_whatever_is_imported_first", MODEL, "track_changes)"),
    Cut(1, "sqlite-async-create_all", "+test_savepoint", TRACKING, "if transaction.nested:", "if False:"),
    Cut(1, "sqlite-async-alembic", "+test_detached", TRACKING, 'TrackingSession, "after_attach"'),
    Cut(4, "mysql-sync-alembic", "/test_changed_under_snapshot", DIALECT, "1412: errors.BUSY"),
    Cut(1, "mysql-sync-create_all", "test_moment", MODEL, "value.utcoffset() is None", "False"),
    Cut(2, "postgresql-sync-create_all", "/test_more_clients_than_connections",
        LIMITER, "await get_limiter().acquire(", "print("),
    Cut(2, "postgresql-async-alembic", "/test_waiting_is_bounded",
        LIMITER, "get_settings().database_pool_timeout", "None"),
    Cut(2, "postgresql-sync-alembic", "/test_concurrently", "migrations/env.py", "len(commits) <= 1", "True"),
    Cut(2, "mysql-sync-alembic", "/test_waiting",
        DIALECT, "SET lock_wait_timeout = {LOCK_WAIT}", "SET lock_wait_timeout = 30"),
    Cut(3, "postgresql-async-alembic", "/test_no_leaks", TRANSACTION, "await session.", "None and session."),
    Cut(3, "postgresql-sync-alembic", "test_failure_stores_nothing", SESSION, '"close_resets_only": False'),
    Cut(3, "mysql-async-alembic", "test_failure_stores_nothing", DEPENDENCY, "await close(session)", "pass"),
    Cut(3, "postgresql-async-alembic", "/test_statement_that_is_left",
        TRANSACTION, " if is_free else session.invalidate()", ""),
    Cut(1, "postgresql-async-alembic", "/test_cut_short",
        TRANSACTION, 'raise UnknownOutcomeError("it was cut short in COMMIT") from', "raise"),
    Cut(3, "mysql-sync-alembic", "/test_cut_short",
        "app/web/service.py", "Middleware(finish_sessions),"),
    Cut(3, "sqlite-sync-alembic", "test_request_that_is_cut_short",
        "app/web/service.py", "Middleware(finish_sessions),"),
    Cut(3, "sqlite-async-alembic", "+test_no_session", DEPENDENCY, '["type"] == "websocket"', '["type"] == ""'),
    Cut(3, "postgresql-sync-alembic", "+test_error", "app/web/service.py", "Middleware(close_on_error),"),
    Cut(3, "postgresql-async-alembic", "/test_two_loops", LIMITER, "dispose(close=False)"),
    Cut(3, "sqlite-async-alembic", "test_one_session_at_a_time", LIMITER, "if kind in kinds:", "if False:"),
    Cut(4, "postgresql-async-create_all", "/test_outage", DIALECT, "except OSError", "except ZeroDivisionError"),
    Cut(4, "mysql-sync-alembic", "/test_outage", PROBLEMS, "detail, headers=RETRY_AFTER", "detail"),
    Cut(4, "postgresql-async-alembic", "/test_killed_before_commit",
        DIAGNOSIS, "error.connection_invalidated", "False"),
    Cut(4, "postgresql-async-create_all", "/test_silence", DIALECT, "timeout + SLACK"),
    Cut(4, "postgresql-sync-alembic", "/test_silence", DIALECT, '"tcp_user_timeout": 11_000'),
    Cut(4, "mysql-async-alembic", "/test_silence", DIALECT, "timeout + CONNECT_TIMEOUT"),
    Cut(4, "postgresql-sync-create_all", "/test_read_only", DIALECT, '"25006": errors.AWAY'),
    Cut(4, "postgresql-async-alembic", "/test_changed_table", DIALECT, '"cached plan": errors.BUSY'),
    Cut(5, "postgresql-sync-create_all", "/test_race", SCHEMA, "lock_schema(connection)"),
    Cut(5, "mysql-async-alembic", "/test_race", SCHEMA, "lock_schema(connection)"),
    Cut(5, "sqlite-sync-create_all", "/test_race", DIALECT, '"IMMEDIATE"', '"DEFERRED"'),
    Cut(5, "postgresql-async-create_all", "/test_race", CREATION, "is not errors.EXISTS", "is not None"),
    Cut(5, "postgresql-async-alembic", "/test_race",
        DIALECT, "pg_try_advisory_lock(7364721934)", "pg_advisory_lock(7364721934) IS NOT NULL"),
    Cut(5, "postgresql-sync-alembic", "/test_killed_while_preparing",
        DIALECT, "SET client_connection_check_interval = '1s'", "SELECT 1"),
    Cut(6, "mysql-sync-alembic", "/test_long_migration",
        STARTUP, "engine = build_unpooled_engine(engine.url, DAY)", "pass"),
    Cut(6, "mysql-async-create_all", "/test_late_server",
        STARTUP, "{errors.AWAY, errors.FULL, errors.BUSY}", "{errors.BUSY}"),
    Cut(6, "postgresql-async-alembic", "/test_refused", DIALECT, '"28": errors.LOGIN'),
    Cut(6, "mysql-sync-alembic", "/test_refused", DIALECT, ": errors.PRIVILEGE"),
    Cut(6, "sqlite-async-alembic", "/test_failed_start", "app/logs.py", "addFilter(shorten_failed_start)"),
    Cut(6, "postgresql-sync-alembic", "test_other_schema", SCHEMA, "if current == heads", "if True"),
    Cut(6, "mysql-sync-alembic", "test_newer_schema",
        SCHEMA, "deploy the code that goes with it\" if missing", "deploy\" if True"),
    Cut(7, "mysql-async-alembic", "/test_one_email",
        PROBLEMS, "violation := find_violation(error)", "violation := None"),
    Cut(7, "postgresql-async-alembic", "/test_schemathesis", "app/limits.py", "INTEGER = 2**31 - 1", "INTEGER = 2**63"),
    Cut(8, "sqlite-sync-create_all", "/test_sqlite_writers", DIALECT, '"IMMEDIATE"', '"DEFERRED"'),
    Cut(8, "sqlite-async-alembic", "test_readers_do_not_stop_writers", DIALECT, "mode = WAL", "mode = DELETE"),
    Cut(8, "sqlite-async-create_all", "/test_statement_that_is_left", DIALECT, "driver.rollback()"),
    Cut(8, "sqlite-sync-alembic", "test_file_of_somebody_else", STARTUP, "    create_database(engine.url)", "    pass"),
    Cut(8, "sqlite-sync-create_all", "test_orphans_are_refused", DIALECT, "PRAGMA foreign_keys = ON"),
    Cut(8, "sqlite-sync-alembic", "/test_in_memory", "app/database/engine.py", '"pool_size": 1, ', ""),
    Cut(9, "postgresql-async-alembic", "test_one_session_in_two_tasks", SESSION, "sync_session_class=OneTaskSession"),
    Cut(9, "mysql-async-create_all", "test_models", RULES, "@event.listens_for(Mapper"),
    Cut(9, "mysql-async-alembic", "test_life", MODEL, "mapper.eager_defaults = True", "pass"),
    Cut(10, "sqlite-async-alembic", "/test_stop_with_a_stream",
        "Dockerfile", ', "--timeout-graceful-shutdown", "8"', ""),
    Cut(10, "postgresql-sync-alembic", "/test_stop",
        "Dockerfile", 'CMD ["uvicorn",', 'CMD ["sh", "-c", "$0 $@; true", "uvicorn",'),
    Cut(10, "postgresql-async-alembic", "/test_stop", "app/web/lifespan.py", "one.dispose()", "asyncio.sleep(0)"),
    Cut(11, "postgresql-async-alembic", "/test_pgbouncer", DIALECT, '"statement_cache_size": 0', ""),
    Cut(11, "postgresql-sync-create_all", "/test_pgbouncer", DIALECT, '"prepare_threshold": None', ""),
    Cut(12, "postgresql-sync-alembic", "/test_statement_timeout", DIALECT, "-c statement_timeout", "-c lock_timeout"),
    Cut(12, "mysql-async-alembic", "/test_statement_timeout", DIALECT, 'f"/*M!100101'),
    Cut(12, "sqlite-sync-alembic", "test_malformed_body", "app/web/service.py", "Middleware(body_limit,"),
    Cut(12, "mysql-sync-alembic", "/test_rows_read",
        "app/web/queries.py", "beyond(order, seen) | same", "(beyond(order, seen) | same).is_(True)"),
    Cut(12, "mysql-sync-alembic", "+test_list_refuses", "app/schemas/types.py", "le=limits.PAGE, ", ""),
]  # fmt: skip


def break_copy(project: Path, folder: str, edit: Edit) -> Path:
    """Return a copy of a project with an edit."""
    copy = Path(folder, project.name)
    shutil.copytree(project, copy)
    edit(copy)
    return copy


def run_own_tests(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a generated project."""
    command = [environment(MAIN) / "bin" / "python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=project, env=clean_environment(), capture_output=True, text=True, check=False)


def noticed(project: Path, name: str) -> bool:
    """Break a copy of a project, and tell whether its tests fail."""
    with tempfile.TemporaryDirectory() as folder:
        return run_own_tests(break_copy(project, folder, MUTATIONS[name])).returncode == 1


def words_of(project: Path, cut: Cut) -> str | None:
    """Make a cut in a copy of a project; return what the test says of it, None when it passes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = break_copy(project, folder, cut.edit)
        if cut.test.startswith("/"):
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-m", "faults", "-p", "no:cacheprovider"]
            command += ["tests/faults", "-k", f"{cut.test.removeprefix('/')} and {cut.variant}"]
            variables = clean_environment() | {"BROKEN_PROJECT": str(copy), "REQUIRE_SERVERS": "1"}
            result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        elif cut.test.startswith("+"):
            add_tests(copy, next(variant for variant in VARIANTS if str(variant) == cut.variant))
            result = run_own_tests(copy, "tests/service", "-k", cut.test.removeprefix("+"))
        else:
            result = run_own_tests(copy, "-k", cut.test)
        if result.returncode == 0:
            return None
        lines = re.findall(r"^E +(\S.*)$|^FAILED (.*)$", result.stdout, re.MULTILINE)
        if result.returncode != 1 or not lines:
            raise RuntimeError(f"{cut} was not tried:\n{result.stdout}\n{result.stderr}")
        return "".join(lines[0])


def bake(variant: Variant, folder: str) -> Path:
    """Generate a project, without the words that go with it."""
    answers = [f"{name}={value}" for name, value in {"project_slug": str(variant), **variant.answers}.items()]
    command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--output-dir", folder, *answers]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Path(folder, str(variant))


def try_mutations(projects: dict[Variant, Path]) -> bool:
    """Print what the tests of each variant make of each fault; tell whether all were noticed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cells = {v: [pool.submit(noticed, projects[v], name) for name in MUTATIONS] for v in VARIANTS}
        rows = {variant: [cell.result() for cell in row] for variant, row in cells.items()}
    for number, name in enumerate(MUTATIONS, 1):
        print(number, name)
    print(" " * 28, *(f"{number:>8}" for number in range(1, len(MUTATIONS) + 1)))
    for variant, row in rows.items():
        print(f"{variant!s:28}", *(f"{'noticed' if cell else 'MISSED':>8}" for cell in row))
    return all(map(all, rows.values()))


def try_cuts(projects: dict[Variant, Path], points: set[int]) -> bool:
    """Print what a test makes of each cut; tell whether all were noticed."""
    found = True
    for cut in (cut for cut in CUTS if cut.point in points):
        [variant] = [variant for variant in VARIANTS if str(variant) == cut.variant]
        words = words_of(projects[variant], cut)
        found = found and words is not None
        print(f"{cut.point:2} {POINTS[cut.point]}\n   without {cut.old} in {cut.variant}")
        print(f"   {cut.test.lstrip('/+')}: {words or 'MISSED'}", flush=True)
    return found


def main() -> int:
    """Print the tables, and return 1 when something was not noticed."""
    with tempfile.TemporaryDirectory() as folder:
        projects = {variant: bake(variant, folder) for variant in VARIANTS}
        own = len(sys.argv) > 1 or try_mutations(projects)
        points = {int(word) for word in sys.argv[1:] if word.isdecimal()} or POINTS.keys()
        return 0 if try_cuts(projects, set(points)) and own else 1


if __name__ == "__main__":
    sys.exit(main())
