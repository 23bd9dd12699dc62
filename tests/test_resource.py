"""`make resource`: it adds files to a service of each variant, and changes none; the samples are what it writes."""

import ast
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import add
from tests.conftest import MAIN, Project, clean_environment, environment, execute, only, serve
from tests.test_variants import SUITE, server_of
from tests.variants import ROOT, VARIANTS, Variant

SAMPLES = {
    "product": {
        "description": "Something that is sold.",
        "fields": "name:string(100):index description:string(500)? price:decimal(10,2,0..) quantity:integer(0..)",
    },
    "user": {
        "description": "Somebody who is known by an e-mail address.",
        "fields": "email:email:unique name:string(100) is_active:boolean=true",
    },
}
ALL_TYPES = """
    number:string(20):unique customer:references:nested total:decimal(10,2) note:text? placed_at:datetime data:json?
    status:enum(new,paid,cancelled):index kind:enum(big-one,b)=b count:integer(0..10)=1 level:integer:index day:date
    large:bigint(-9007199254740991..9007199254740991)? huge:bigint(0..9007199254740991):index token:uuid:unique
    ref:uuid:index due:date:index ok:boolean=true seen:datetime:index rate:decimal(5,3,0..):index label:string=none
    code:string(2..2)=ab reply_to:email? buyer:references(users,null)?
"""
RESOURCES = [
    {"name": "customer", "fields": "name:string(100):index email:email:unique"},
    {"name": "order", "fields": ALL_TYPES},
    {
        "name": "purchase_order_line",
        "fields": "order:references(cascade) product:references payer:references(customers):nested"
        " payee:references(customers)?:nested cost:decimal:unique"
        " quantity_of_the_delivered_goods:integer(1..) g:bigint",
    },
]
"""Three that refer to one another, with every type, and short and long names.

Schemathesis takes bounds for floats, and sends what is beyond 2**63: what it attacks ends at 2**53.
"""


def run(project: Project, *answers: str, name: str = "resource", status: int = 0) -> str:
    """Run the command in a project, as its `make resource` does."""
    command = ("python", "-B", str(ROOT / "add.py"), name, *answers)
    return project.run(*command, status=status, **server_of(project.variant))


def add_files(project: Project, *answers: str, name: str = "resource") -> list[str]:
    """Add something to a project; return the paths that are printed."""
    return run(project, *answers, name=name).partition("\n\nNext:")[0].splitlines()


def add_resource(project: Project, resource: dict[str, str]) -> list[str]:
    """Add a resource; return the paths that are printed."""
    return add_files(project, *(f"{name}={answer}" for name, answer in resource.items()))


def contents(project: Project) -> dict[str, bytes]:
    """Return what is in the files of a project, and not what its tools have left."""
    return {path.relative_to(project.path).as_posix(): path.read_bytes() for path in project.files()}


@pytest.fixture
def own(project: Project, tmp_path: Path) -> Project:
    """Return a project that the test may change."""
    return Project(shutil.copytree(project.path, tmp_path / "service"), project.variant)


@only(database=("sqlite",), migrations=("alembic",))
@pytest.mark.parametrize("length", [88, 120])
@pytest.mark.parametrize("name", SAMPLES)
def test_samples(own: Project, name: str, length: int, tmp_path: Path) -> None:
    """The samples, which are plain files in the template, are what the command would have written."""
    pyproject = own.path / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(re.sub(r"(?m)^line-length = .*$", f"line-length = {length}", text), encoding="utf-8")
    service = add.Service.find(own.path)
    vars(service).update(facts={"tables": {}, "reserved": []}, python=sys.executable)
    context, lines = add.load("resource").context({"name": name, **SAMPLES[name]}, service)
    assert not lines
    paths = add.render("resource", context, service, tmp_path / "aside")
    assert len(paths) == 4
    for path in paths:
        written = (tmp_path / "aside" / path).read_text(encoding="utf-8")
        assert written == (own.path / path).read_text(encoding="utf-8"), path


MISTAKES = {
    "nothing": ([], "name: what is it called?"),
    "an answer": (["nmae=order"], "nmae: there is no such answer; did you mean name?"),
    "no fields": (["name=order"], "fields: a resource has some"),
    "a word of Python": (["name=class", "fields=a:text"], "'class' is a word of Python"),
    "a builtin": (["name=list", "fields=a:text"], "'list' is a name that the code around it has already"),
    "a word of SQL": (["name=group", "fields=a:text", "plural=groups"], "'groups' is a word of SQL: say plural=..."),
    "a table": (["name=person", "plural=users", "fields=a:text"], "there is a table 'users' already"),
    "a model": (["name=user", "plural=people", "fields=a:text"], "there is a model User already"),
    "capitals": (["name=Order", "fields=a:text"], "'Order' is no name"),
    "a description": (["name=order", "fields=a:text", 'description=Say "x".'], "without quotes"),
    "no type": (["name=order", "fields=a"], "a: of which type?"),
    "a type": (["name=order", "fields=a:strin"], "a:strin: there is no type 'strin'; did you mean string?"),
    "a flag": (["name=order", "fields=a:text:uniq"], "there is no :uniq"),
    "a column": (["name=order", "fields=id:uuid"], "'id' is a name that every resource has already"),
    "a word of SQL as a column": (["name=order", "fields=select:text"], "'select' is a word of SQL"),
    "Pydantic's": (["name=order", "fields=model_year:integer"], "Pydantic uses itself"),
    "twice": (["name=order", "fields=a:text a:date"], "there is a field of this name already"),
    "length": (["name=order", "fields=a:string(x)"], "(x) is no length"),
    "too long for an index": (["name=order", "fields=a:string(501):index"], "an index holds 500"),
    "digits": (["name=order", "fields=a:decimal(16,2)"], "at most 15 digits"),
    "bounds": (["name=order", "fields=a:integer(5..1)"], "they are in order"),
    "no values": (["name=order", "fields=a:enum"], "an enum needs its values"),
    "the same value": (["name=order", "fields=a:enum(x,x)"], "are the same"),
    "a reference to nothing": (["name=order", "fields=a:references(produkts)"], "did you mean references(products)?"),
    "a null": (["name=order", "fields=user:references(null)"], "must be optional: user:references(null)?"),
    "a default": (["name=order", "fields=a:integer(1..5)=9"], "=9 does not fit: it is a number from 1 to 5"),
    "a default of text": (["name=order", "fields=a:text=x"], "a default is for"),
    "an index of JSON": (["name=order", "fields=a:json:index"], "leave :index out"),
    "parentheses": (["name=order", "fields=a:string(20 b:text"], "a ( is not closed"),
    "parentheses in a default": (["name=order", "fields=a:string=:( b:text"], "a ( is not closed"),
    "a name in the code": (["name=page", "fields=a:text"], "'page' is a name that the code uses itself"),
    "a module": (["name=tracking", "fields=a:text"], "is a module that there is already"),
    "a word in the code": (
        ["name=order", "fields=limits:integer b:email"],
        "'limits' is a name that every resource has",
    ),
    "a constant of Python": (["name=order", "fields=none:string"], "'none' is a word of Python"),
    "a type's name": (["name=order", "fields=date:date other:date"], "date: another field is of this type"),
    "a class": (["name=order", "fields=search:enum(a,b) n:integer:index"], "OrderSearch is a name that the code"),
    "a row and its key": (
        ["name=order", "fields=owner:string owner:references(users):nested"],
        "a field of this name already",
    ),
    "a key": (["name=order", "fields=user_id:references(users)"], "write user:references(users)"),
    "a type that is hidden": (["name=order", "fields=date:date:unique"], "needs a name of its own"),
    "a name of the tests": (["name=order", "fields=unknown:integer"], "'unknown' is a name that every resource has"),
    "itself": (["name=node", "fields=node:references?"], "a reference to the resource itself"),
    "two ends": (["name=order", "fields=user:references(cascade,null)?"], "write references(table)"),
    "decimals": (["name=order", "fields=a:decimal(10,7)"], "6 of them decimals"),
    "a dash": (
        ["name=order", "fields=a:text", "description=An order \N{EN DASH} one"],
        "is not lint-clean: app/models/",
    ),
    "a long constraint": (
        ["name=purchase_order_line_of_a_customer", f"fields={'x' * 30}:string:index"],
        "is too long for the name of a constraint",
    ),
}


@only(database=("sqlite",), engine=("async",), migrations=("alembic",))
def test_mistakes(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake is a line with its place and a remedy, and nothing is written."""
    before = contents(own)
    output = run(own, "name=order", "fields=a", status=1)
    assert (
        output
        == "ERROR: fields: a: of which type? a:string, say; there are " + ", ".join(add.load("resource").TYPES) + "\n"
    )
    service = add.Service.find(own.path)
    vars(service)["python"] = str(environment(MAIN) / "bin" / "python")
    monkeypatch.setattr(add.Service, "find", lambda folder: service)
    for answers, words in MISTAKES.values():
        with pytest.raises(add.CannotAddError) as caught:
            add.add("resource", {"in": ".", **dict(answer.split("=", 1) for answer in answers)})
        assert words in str(caught.value)
    assert contents(own) == before


@only(database=("sqlite", "postgresql"), engine=("async",), migrations=("alembic",))
def test_service_that_differs(own: Project) -> None:
    """A migration of a resource is about nothing else: what is missing before is to be written first."""
    product = own.path / "app" / "models" / "product.py"
    text = product.read_text(encoding="utf-8")
    versions = own.path / "migrations" / "versions"
    before = contents(own)
    order = ("name=order", "fields=a:integer")

    product.write_text(text.replace('"name", "id")', '"name", "id"), Index(None, "price")'))
    assert "models and migrations differ already" in run(own, *order, status=1)
    product.write_text(text + "    color: Mapped[str | None] = mapped_column(String(9))\n")
    assert "models and migrations differ already" in run(own, *order, status=1)
    product.write_text(text + "1 / 0\n")
    assert re.search(r"app/models/product\.py, line \d+: ZeroDivisionError", run(own, *order, status=1))
    product.write_text(text)
    for name in ("aa", "bb"):
        (versions / f"{name}.py").write_text(f'revision, down_revision = "{name}", "0001"\n')
    assert "several heads, aa, bb - join them" in run(own, *order, status=1)
    for name in ("aa", "bb"):
        (versions / f"{name}.py").unlink()
    assert contents(own) == before


@only(database=("sqlite",), engine=("async",), migrations=("create_all",))
def test_nothing_is_overwritten(own: Project) -> None:
    """What is in the way is named, and nothing is written; what is there already with the same bytes is not."""
    resource = {"name": "order", "fields": "a:json status:enum(new,old)"}
    (own.path / "tests" / "test_orders.py").write_text("mine\n")
    before = contents(own)
    output = run(own, *(f"{name}={answer}" for name, answer in resource.items()), status=1)
    assert output.startswith("ERROR: tests/test_orders.py: it is there already")
    assert contents(own) == before
    (own.path / "tests" / "test_orders.py").unlink()
    (own.path / "app" / "enums.py").write_text("mine\n")
    assert "make it app/enums/__init__.py first" in run(own, "name=order", "fields=a:enum(b,c)", status=1)
    (own.path / "app" / "enums.py").unlink()
    shared = {"app/enums/__init__.py", "app/schemas/json_object.py"}
    assert shared < set(add_resource(own, resource))
    assert not shared & set(add_resource(own, resource | {"name": "bill"}))


@only(database=("sqlite",), engine=("async",), migrations=("alembic",))
def test_picture(own: Project) -> None:
    """The picture of the README shows what is printed; `make picture` draws it anew."""
    assert "(docs/resource.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")
    folder = ROOT / "docs"
    [answers] = re.findall(r"^RESOURCE = (.*)$", (folder / "answers.py").read_text(encoding="utf-8"), re.MULTILINE)
    seen = "".join(re.findall(r"<text [^>]*>(.*?)</text>", (folder / "resource.svg").read_text(encoding="utf-8")))
    seen = "".join(html.unescape(seen).split())
    for line in run(own, *ast.literal_eval(answers)).splitlines():
        known = line.rpartition("_")[2] if line.startswith("migrations/") else "".join(line.split())
        assert known in seen, line


def test_failure_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be written, those before it are taken away again, with their folders."""
    aside, service = tmp_path / "aside", tmp_path / "service"
    service.mkdir()
    for name in ("a/b/one.py", "two.py"):
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).write_text("x")
    original = Path.open

    def fail(path: Path, *arguments: object, **options: object) -> object:
        if path == service / "two.py":
            raise OSError("No space left on device")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OSError, match="No space left"):
        add.copy_all(["a/b/one.py", "two.py"], aside, add.Service(service, {}, ""))
    assert list(service.iterdir()) == []


@only(database=("sqlite",), engine=("sync",), migrations=("create_all",))
def test_make(own: Project, tmp_path: Path) -> None:
    """A service fetches the template from where it came from: an address, in the commit that made it, or a folder."""
    if shutil.which("make") is None or shutil.which("git") is None:
        pytest.skip("no make, or no git")
    template = tmp_path / "template"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "examples")
    shutil.copytree(ROOT, template, ignore=ignored)
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "x"]):
        execute([*git, *command], template, clean_environment())
    commit = execute(["git", "rev-parse", "HEAD"], template, clean_environment()).strip()
    (template / "add.py").write_text("raise SystemExit('a later version')\n")
    execute([*git, "commit", "--quiet", "--all", "--message", "y"], template, clean_environment())
    python = own.path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {environment(MAIN)}/bin/python "$@"\n')
    python.chmod(0o755)

    def make(*answers: str, status: int = 0) -> str:
        command = ["make", "--no-print-directory", "resource", "DEVELOP=", *answers]
        return execute(command, own.path, clean_environment(), status)

    assert "say template=..." in make("name=order", "fields=a:date", status=2)
    (own.path / ".cruft.json").write_text(f'{{"template": "{template.as_uri()}", "commit": "{commit}"}}')
    assert "app/models/order.py" in make("name=order", "fields=status:enum(new,old)? a:string=it's")
    assert 'server_default="it\'s"' in (own.path / "app" / "models" / "order.py").read_text(encoding="utf-8")
    assert "app/models/bill.py" in make("name=bill", "fields=a:date", f"template={ROOT}")
    assert "ERROR: template: this version of it" in make("name=x", f"template={tmp_path}", status=2)


def test_make_in_the_template(tmp_path: Path) -> None:
    """The template asks to which service, and says what is none."""
    command = [sys.executable, "-B", "add.py", "resource", "name=order"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr == "ERROR: in: to which service? in=~/my-api\n"
    result = subprocess.run([*command, f"in={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr.startswith(f"ERROR: in: {tmp_path} has no service of this template")


QUICK = [Variant("sqlite", "async", "create_all")]
"""Those of `make test`, without what takes long."""


def attack(project: Project, database_url: str) -> None:
    """Serve the service, and let Schemathesis look for what it does not keep."""
    with serve(project, DATABASE_URL=database_url, DATABASE_PREPARE_ON_STARTUP="true") as (client, log):
        url = f"{client.base_url}/openapi.json"
        command = ["schemathesis", "run", url, "--checks", "all", "--max-examples", "10", "--seed", "1", "--no-color"]
        command += ["--include-path-regex", "customers|orders", "--phases", "coverage,fuzzing"]
        project.run(*command, PYTHONWARNINGS="ignore")
        assert "Traceback" not in log.read_text(encoding="utf-8")


def check(project: Project, database_url: str, tmp_path: Path) -> None:
    """Add three resources, look at them in each way, and take them away again."""
    before = contents(project)
    written = [path for resource in RESOURCES for path in add_resource(project, resource)]
    assert contents(project).keys() == before.keys() | set(written)
    project.run("ruff", "check", "--no-cache")
    project.run("ruff", "format", "--check", "--no-cache")
    project.run("lint-imports", "--no-logo", "--no-cache")
    if project.variant not in QUICK:
        project.run("mypy", "--cache-dir", str(tmp_path / "mypy"))
    tests = ["tests/guarantees/test_routes.py", *(path for path in written if path.startswith("tests/"))]
    if project.variant.migrations == "alembic":
        assert sum(path.startswith("migrations/") for path in written) == len(RESOURCES)
        tests.append("tests/guarantees/test_migrations.py")
    output = project.run(*SUITE, *tests, **server_of(project.variant))
    assert re.search(r"\d\d passed", output), output
    if project.variant not in QUICK:
        attack(project, database_url)
    if project.variant.migrations == "alembic":
        assert "No new upgrade operations" in project.run("alembic", "check", DATABASE_URL=database_url)
        project.run("alembic", "downgrade", "0001", DATABASE_URL=database_url)
    for path in written:
        (project.path / path).unlink()
    shutil.rmtree(project.path / "app" / "enums")
    assert contents(project) == before


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, id=str(v), marks=() if v in QUICK else pytest.mark.slow) for v in VARIANTS],
    indirect=True,
)
def test_three_resources(own: Project, database_url: str, tmp_path: Path) -> None:
    """Three that refer to one another are linted, typed, tested, migrated, served, attacked, and undone."""
    check(own, database_url, tmp_path)


@pytest.mark.slow
@only(database=("sqlite",), migrations=("alembic",))
@pytest.mark.parametrize("length", [100, 120])
def test_line_length(own: Project, length: int) -> None:
    """What is written is as long as the service has its lines."""
    pyproject = own.path / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(re.sub(r"(?m)^line-length = .*$", f"line-length = {length}", text), encoding="utf-8")
    for resource in RESOURCES:
        add_resource(own, resource)
    own.run("ruff", "check", "--no-cache")
    own.run("ruff", "format", "--check", "--no-cache")
