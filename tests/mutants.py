"""Change a service in every small way that a generator thinks of, and see whether its own tests notice.

    python -m tests.mutants postgresql-sync-alembic app/web/queries.py app/schemas
    python -m tests.mutants sqlite-async-alembic app 100

tries the changes of some files or folders, or so many of them, the same each time. It prints those that no test
noticed, and how many were: a statement, an argument or an item is left out, a condition turned round, a number is one
more or one less. mutmut leaves out what is decorated, as routes are, and what is outside of functions, as schemas are;
Cosmic Ray never leaves anything out, and two thirds of its changes here do not even import.
"""

import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.conftest import MAIN, clean_environment, server_url
from tests.databases import drop_databases
from tests.mutations import bake
from tests.variants import CONTEXT, VARIANTS, environment

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
            try:
                compile(text, path, "exec")
            except SyntaxError:
                continue
            line = source.text.count("\n", 0, begin) + 1
            yield Mutant(path.relative_to(project).as_posix(), line, source.text[begin:end], new, text)


def main() -> int:
    """Print what was not noticed; return 1 when there is something."""
    name, *words = sys.argv[1:]
    [variant] = [variant for variant in VARIANTS if str(variant) == name]
    server = server_url(variant.database) if variant.database != "sqlite" else None
    copies: SimpleQueue[tuple[Path, dict[str, str]]] = SimpleQueue()
    command = [
        environment(MAIN) / "bin" / "python",
        "-m",
        "pytest",
        "-qx",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]

    def passes(mutant: Mutant | None) -> bool:
        folder, variables = copies.get()
        original = (folder / mutant.file).read_text(encoding="utf-8") if mutant else ""
        if mutant:
            (folder / mutant.file).write_text(mutant.text, encoding="utf-8")
        try:
            result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False, timeout=300)
            return result.returncode == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if mutant:
                (folder / mutant.file).write_text(original, encoding="utf-8")
            copies.put((folder, variables))

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        project = bake(variant, folder)
        for number in range(os.cpu_count() or 1):
            # No bytecode: two changes within a second may be of one length.
            variables = clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
            if server:
                driver = CONTEXT["_databases"][variant.database][variant.engine]["driver"]
                address = server.partition("://")[2].rpartition("/")[0]
                variables["TEST_DATABASE_URL"] = f"{driver}://{address}/mutants_{number}"
            copies.put((shutil.copytree(project, Path(folder, str(number))), variables))
        assert passes(None), "the tests fail without any change"
        paths = [project / word for word in words if not word.isdecimal()]
        files = sorted({file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))})
        found = [mutant for file in files for mutant in mutants_of(project, file)]
        random.Random(0).shuffle(found)
        found = found[: int(next(filter(str.isdecimal, words), len(found)))]
        noticed = 0
        for mutant, survived in zip(found, pool.map(passes, found), strict=True):
            noticed += not survived
            if survived:
                print(f"{mutant.file}:{mutant.line}: {mutant.old!r} -> {mutant.new!r}", flush=True)
    if server:
        drop_databases(server, "mutants_")
    print(f"{name}: {noticed} of {len(found)} were noticed")
    return noticed < len(found)


if __name__ == "__main__":
    sys.exit(main())
