"""The gates of the generated project: its hooks, its golden rules, and its CI; and the hooks of the template."""

import base64
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_cookies.plugin import Cookies
from ruamel.yaml import YAML

from tests.conftest import MAIN, NO_GIT_CONFIGURATION, Project, clean_environment, execute
from tests.variants import PYTHONS, ROOT, UV, Variant, environment

CONFIGURATION = ".pre-commit-config.yaml"
URL = "postgresql://ada:hunter2@db.example.com/shop"  # pragma: allowlist secret
HASH = hashlib.sha256(b"1").digest()
ROUTE = "app/api/routes/products.py"
PIN = re.compile(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@dataclass
class Repository:
    """A copy of a project in a repository of its own, all of it staged."""

    path: Path

    def run(self, *command: str, status: int = 0, **variables: str) -> str:
        """Run a command; return its output, and fail on another status."""
        return execute(command, self.path, clean_environment() | NO_GIT_CONFIGURATION | variables, status)

    def write(self, name: str, text: str) -> None:
        """Add a line to a file, or make it, and stage it."""
        path = self.path / name
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
        self.run("git", "add", "--force", name)

    def pre_commit(self, *arguments: str, status: int = 0, **variables: str) -> str:
        """Run pre-commit with the tools of the project's environment."""
        binaries = environment(MAIN) / "bin"
        path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
        return self.run(str(binaries / "pre-commit"), "run", *arguments, status=status, PATH=path, **variables)


def repository(source: Path, target: Path) -> Repository:
    """Return a copy of a project, in a repository of its own."""
    ours = shutil.ignore_patterns("__pycache__", ".*_cache", "*.db*", ".coverage*")
    copy = Repository(Path(shutil.copytree(source, target / source.name, ignore=ours)))
    copy.run("git", "init", "--quiet", "--initial-branch=main")
    copy.run("git", "config", "user.name", "Ada")
    copy.run("git", "config", "user.email", "ada@example.com")
    copy.run("git", "add", "--all")
    return copy


@pytest.fixture
def copy(cookies: Cookies, tmp_path: Path, mypy_cache: None) -> Repository:
    """Return the default project, in a repository of its own."""
    return repository(cookies.bake().project_path, tmp_path)


def test_hooks(project: Project, tmp_path: Path) -> None:
    """A project that was just generated passes its own hooks, and they change nothing.

    The first ones are what `make lint` runs, and left to those who run it for each variant: `test_lint`, `test_types`.
    """
    copy = repository(project.path, tmp_path)
    copy.write(".cruft.json", json.dumps({"commit": hashlib.sha256().hexdigest()[:40]}) + "\n")
    hooks = YAML(typ="safe").load(copy.path / CONFIGURATION)["repos"][0]["hooks"]
    first = [hook["id"] for hook in hooks[: len(lint_commands(project))]]
    output = copy.pre_commit("--all-files", SKIP=",".join(first))
    assert len(re.findall(r"(Passed|Skipped)$", output, re.MULTILINE)) == len(hooks)
    # No such file is there.
    assert re.findall(r"^no (\.\w+)\b.*Skipped$", output, re.MULTILINE) == [".rej", ".env"]
    assert copy.run("git", "diff", "--name-only") == ""
    tracked = copy.run("git", "ls-files", "--eol")
    assert not re.search(r"w/(crlf|mixed)", tracked)


REFUSED = {
    "style": ("app/new.py", '"""New."""\nimport os\n', "ruff-check", "F401"),
    "format": ("app/new.py", '"""New."""\n\nx  =  1\n', "ruff-format", "1 file would be reformatted"),
    "types": ("app/new.py", '"""New."""\n\nnumber: int = "1"\n', "mypy", "Incompatible types"),
    "query": (ROUTE, "session.query(Product)\n", "query", "write select(), and pass it to session.scalars()"),
    "toml": ("new.toml", "x = = 1\n", "toml", "new.toml"),
    "yaml": ("new.yaml", "x: [1\n", "yaml", "new.yaml"),
    "merge": ("app/new.py", "<<<<<<< ours\n=======\n>>>>>>> theirs\n", "merge", "app/new.py:1:<<<<<<< ours"),
    "end of a conflict": ("new.md", "Ours\n=======\n>>>>>>> theirs\n", "merge", "new.md:3:>>>>>>> theirs"),
    "rejected": ("Makefile.rej", "\n", "rejected", "Do by hand what it says"),
    "large": ("large.bin", "x" * 600_000, "large-files", "large.bin (586 KB) exceeds 500 KB"),
    "env": (".env", "\n", "env", ".env holds secrets"),
    "password": (".env.example", f"URL={URL}\n", "secrets", ".env.example"),
    "key": ("app/new.py", 'KEY = "AKIA' + 'IOSFODNN7EXAMPL1"\n', "secrets", "AWS Access Key"),
    "private key": ("key.pem", "-----BEGIN RSA " + "PRIVATE KEY-----\n", "secrets", "Private Key"),
    "token": ("app/new.py", 'ASKED = "ghp_' + 'abcdefghijklmnopqrstuvwxyz0123456789"\n', "secrets", "GitHub Token"),
    "hexadecimal": ("app/new.py", f'SECRET_KEY = "{hashlib.sha256().hexdigest()}"\n', "secrets", "Secret Keyword"),
    "base64": ("app/new.py", f'SIGN = "{base64.b64encode(HASH).decode()}"\n', "secrets", "Base64 High Entropy"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text", "hook", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_hook_refuses(copy: Repository, name: str, text: str, hook: str, words: str) -> None:
    """Each hook refuses what it is there to refuse, and names it."""
    copy.write(name, text)
    assert words in copy.pre_commit(hook, "--all-files", status=1)


REVISION = 'revision = "{}"\ndown_revision = "{}"\n'
TAKEN = {
    "app/headers.py": """
API_KEY_HEADER = "X-API-Key"
API_KEY_QUERY = "api_key"
SECRET_NAME = "shop-db-password"
PASSWORD_FIELD = "new_password"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
""",
    "tests/test_hashes.py": """
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
UUIDS = ["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"]
""",
    ".gitlab-ci.yml": "\nother:\n  script:\n    - !reference [test, script]\n",
    "deploy.yaml": "kind: Service\n---\nkind: Deployment\n",
    "docs.md": "Heading\n=======\n\n> quoted\n",
    "docs.rst": "=======\nHeading\n=======\n\n>>> code\n",
    **{
        f"migrations/versions/{number}.py": REVISION.format(*(hashlib.sha1(b"%d" % n).hexdigest()[:12] for n in pair))
        for number, pair in enumerate(itertools.pairwise(range(13)))
    },
}


def test_hooks_take_what_is_right(copy: Repository) -> None:
    """What the project's own commands write, and teams, is not refused: twelve migrations, hashes, tags of GitLab."""
    for name, text in TAKEN.items():
        copy.write(name, text)
    hooks = [hook["id"] for hook in YAML(typ="safe").load(copy.path / CONFIGURATION)["repos"][0]["hooks"]]
    copy.pre_commit("--all-files", SKIP=",".join({*hooks} - {"secrets", "yaml", "merge"}))


@pytest.mark.slow
def test_migrations_are_clean(copy: Repository) -> None:
    """Twelve migrations that Alembic writes are formatted, say nothing of what is mended, and are no secrets."""
    database = {"DATABASE_URL": f"sqlite:///{copy.path.parent}/service.db"}
    alembic = str(environment(MAIN) / "bin" / "alembic")
    copy.run(str(environment(MAIN) / "bin" / "python"), "-m", "app.database", "prepare", **database)
    model = copy.path / "app" / "models" / "product.py"
    column = "    {}: Mapped[str | None] = mapped_column(String(100), index=True, unique=True)\n"
    for number in range(12):
        place = "    quantity: Mapped[int]\n"
        text = model.read_text(encoding="utf-8")
        model.write_text(
            text.replace(place, place + column.format(f"the_{number}th_of_many_long_names")), encoding="utf-8"
        )
        output = copy.run(alembic, "revision", "--autogenerate", "--message", f"column {number}", **database)
        assert "rror" not in output
        copy.run(alembic, "upgrade", "head", **database)
    copy.run("git", "add", "--all")
    for hook in ("ruff-check", "ruff-format", "secrets"):
        copy.pre_commit(hook, "--files", *map(str, copy.path.glob("migrations/versions/*.py")))


def test_nothing_to_check(copy: Repository) -> None:
    """A check of a repository that knows no file yet is not green; the template's own is not, either."""
    copy.run("git", "rm", "--quiet", "-r", "--cached", ".")
    path = {"PATH": f"{environment(MAIN) / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    assert "git add --all" in copy.run("sh", ".githooks/pre-commit", "--all-files", status=1, **path)
    shutil.copy(ROOT / "Makefile", copy.path)
    (copy.path / ".venv").mkdir()
    (copy.path / ".venv" / ".test").touch()
    assert "git add --all" in copy.run("make", "--old-file", ".venv/.test", "check", status=2)


def test_format(copy: Repository) -> None:
    """`make format` mends a line that is too long, an import that nobody uses, and prints nothing of them."""
    recipe = re.search(r"^format:.*\n((?:\t.*\n)+)", (copy.path / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    numbers = ", ".join(map(str, range(40)))
    file = copy.path / "app" / "new.py"
    file.write_text(f'"""New."""\nimport os\nNUMBERS = [{numbers}]\nprint(1)\n', encoding="utf-8")
    for line in recipe[1].splitlines():
        output = copy.run("sh", "-c", line.strip().replace("$(BIN)", str(environment(MAIN) / "bin")))
        assert "E501" not in output
        assert "F401" not in output
    assert file.read_text(encoding="utf-8") == '"""New."""\n\nNUMBERS = [\n{}]\nprint(1)\n'.format(
        "".join(f"    {number},\n" for number in range(40))
    )


@pytest.mark.slow
def test_lock(copy: Repository) -> None:
    """A lock is followed by pyproject.toml, or refused."""
    copy.run(*UV, "lock", "--quiet")
    copy.run("git", "add", "uv.lock")
    for hook in ("lock", "large-files", "secrets", "toml"):
        copy.pre_commit(hook, "--all-files")
    file = copy.path / "pyproject.toml"
    file.write_text(file.read_text().replace('"uvicorn[standard]>', '"uvicorn>'))
    copy.run("git", "commit", "--quiet", "--message", "Begin")
    copy.run("git", "add", "pyproject.toml")
    assert "`uv.lock` needs to be updated" in copy.pre_commit("lock", status=1)


@pytest.mark.slow
def test_hooks_run_at_each_commit(copy: Repository) -> None:
    """After `make hooks`, a commit is checked, though no environment is active; a bad one is refused.

    So is one that only takes a file away.
    """
    (copy.path / ".venv").symlink_to(environment(MAIN))
    copy.run("make", "hooks", "DEVELOP=", PATH="/usr/bin:/bin")  # what is installed is there
    commit = ("git", "commit", "--message", "Begin")
    slow = {"PATH": "/usr/bin:/bin", "SKIP": "mypy"}
    copy.write("app/new.py", "import os\n")
    assert "F401" in copy.run(*commit, status=1, **slow)
    copy.run("git", "rm", "--quiet", "--force", "app/new.py")
    assert "layers" in copy.run(*commit, **slow)
    assert copy.run("git", "status", "--short") == ""
    copy.run("git", "rm", "--quiet", "app/schemas/product.py")
    assert "app.schemas.product" in copy.run(*commit, status=1, PATH="/usr/bin:/bin")


def lint_commands(project: Project) -> list[str]:
    """Return what `make lint` runs."""
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (project.path / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    return [line.removeprefix("\t$(BIN)/") for line in recipe[1].splitlines()]


def test_lint_and_hooks_agree(project: Project) -> None:
    """What `make lint` runs, the hooks run: neither passes what the other refuses."""
    commands = lint_commands(project)
    hooks = YAML(typ="safe").load(project.path / CONFIGURATION)["repos"][0]["hooks"]
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks]
    assert entries[: len(commands)] == commands
    assert {hook["language"] for hook in hooks} == {"system", "pygrep", "fail"}  # nothing is downloaded


SESSION = "A request has one session: take a DatabaseSession"
ENGINE = "One engine serves the process: get_engine()"
RULES = {
    "session in a route": (ROUTE, "from sqlalchemy.orm import Session\n", "ruff", SESSION),
    "async session in a route": (ROUTE, "from sqlalchemy.ext.asyncio import AsyncSession\n", "ruff", SESSION),
    "qualified session": (ROUTE, "import sqlalchemy.orm\nsqlalchemy.orm.Session()\n", "ruff", SESSION),
    "factory of sessions": ("app/logs.py", "from sqlalchemy.orm import sessionmaker\n", "ruff", SESSION),
    "the factory in a route": (
        ROUTE,
        "from app.database.session import get_session_factory\n",
        "lint-imports",
        "a request takes a DatabaseSession",
    ),
    "the factory in a helper": (
        "app/logs.py",
        "from app.database import session\nsession.get_session_factory()\n",
        "lint-imports",
        "Only app.dependencies opens a session",
    ),
    "the engine in a route": (
        ROUTE,
        "from app.database.engine import get_engine\n",
        "lint-imports",
        "app.api.routes.products -> app.database.engine",
    ),
    "second engine": ("app/logs.py", "from sqlalchemy import create_engine\n", "ruff", ENGINE),
    "engine from settings": ("app/logs.py", "from sqlalchemy import engine_from_config\n", "ruff", ENGINE),
    "another one of ours": ("app/logs.py", "from app.database.engine import build_engine\n", "ruff", ENGINE),
    "second async engine": (
        "app/web/lifespan.py",
        "from sqlalchemy.ext.asyncio import create_async_engine\n",
        "ruff",
        ENGINE,
    ),
    "tables": (
        "app/web/lifespan.py",
        "from app.models.base import Base\nBase.metadata.create_all(get_engine())\n",
        "ruff",
        "CREATE_ALL",
    ),
    "model in a schema": (
        "app/schemas/product.py",
        "from app.models.product import Product\n",
        "lint-imports",
        "what models and schemas share is in app.limits",
    ),
    "route in a model": (
        "app/models/product.py",
        "from app.web.problems import problem\n",
        "lint-imports",
        "app.models is not allowed to import app.web",
    ),
    "Query": ("app/web/queries.py", "from sqlalchemy.orm import Query\n", "ruff", "Write select()"),
    "declarative_base": (
        "app/models/user.py",
        "from sqlalchemy.orm import declarative_base\n",
        "ruff",
        "Derive a model from Entity, or from Base",
    ),
    "old declarative_base": (
        "app/models/user.py",
        "from sqlalchemy.ext.declarative import declarative_base\n",
        "ruff",
        "Derive a model from Entity, or from Base",
    ),
    "on_event": (
        "app/main.py",
        '@app.on_event("startup")\ndef start() -> None:\n    """Start."""\n',
        "mypy",
        "use lifespan event handlers instead",
    ),
}
COMMANDS = {
    "ruff": ("ruff", "check", "--no-cache", "--select", "TID251"),
    "lint-imports": ("lint-imports", "--no-logo", "--no-cache"),
    "mypy": ("mypy",),
}
CREATE_ALL = {"alembic": "Write a migration: alembic revision", "create_all": "Leave it to `python -m app.database"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [Variant("sqlite", "async", "alembic"), Variant("postgresql", "sync", "create_all")], ids=str
)
@pytest.mark.usefixtures("mypy_cache")
def test_golden_rules(cookies: Cookies, variant: Variant) -> None:
    """Who breaks a rule of the database layer is told what to do instead."""
    project = Project(cookies.bake(extra_context=variant.answers).project_path, variant)
    for rule, (name, code, tool, words) in RULES.items():
        file = project.path / name
        text = file.read_text(encoding="utf-8")
        file.write_text(text + code, encoding="utf-8")
        output = " ".join(project.run(*COMMANDS[tool], status=1).split())
        assert words.replace("CREATE_ALL", CREATE_ALL[variant.migrations]) in output, rule
        file.write_text(text, encoding="utf-8")


def test_workflows(project: Project, variant: Variant) -> None:
    """Both kinds of CI call the same commands, which exist, on the same versions; actions are pinned."""
    makefile = (project.path / "Makefile").read_text()
    github = (project.path / ".github/workflows/ci.yaml").read_text()
    gitlab = (project.path / ".gitlab-ci.yml").read_text()
    for text in (github, gitlab):
        assert re.findall(r"(?:run:|-) make (\w+)$", text, re.MULTILINE) == ["check", "coverage", "audit"]
        assert json.dumps(PYTHONS) in text
        assert ("TEST_DATABASE_URL" in text) == (variant.database != "sqlite")
    for target in ("check", "coverage", "audit"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    check_pins(github)
    assert "branches: [main, master]" in github
    ours = (ROOT / ".github" / "workflows" / "test.yaml").read_text(encoding="utf-8")
    check_pins(ours)
    assert set(PIN.findall(github)) == set(PIN.findall(ours))


def check_pins(workflow: str) -> None:
    """Check that each action is named by a commit, with the version beside it."""
    assert len(PIN.findall(workflow)) == workflow.count("uses:") > 0


def test_compose(project: Project, variant: Variant) -> None:
    """The service waits for what it needs, and nothing is published to other machines."""
    services = YAML(typ="safe").load(project.path / "compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.keys() == {"app"} | services.keys() & {"database"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    needs = {name: need["condition"] for name, need in services["app"]["depends_on"].items()}
    server = {} if variant.database == "sqlite" else {"database": "service_healthy"}
    assert needs == {"prepare": "service_completed_successfully", **server}
    assert services["prepare"].get("depends_on", {}).keys() == server.keys()
    assert services["app"]["environment"]["DATABASE_PREPARE_ON_STARTUP"] == "false"


in_repository = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the template is not in a repository")


@in_repository
def test_names_of_files() -> None:
    """No file has a name that Windows refuses, or that it takes for another one's."""
    command = ["git", "-c", "core.quotePath=false", "ls-files"]
    names = execute(command, ROOT, clean_environment()).splitlines()
    assert len({name.lower() for name in names}) == len(names)
    for part in {part for name in names for part in name.split("/")}:
        assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), part
        assert not re.match(r"(aux|con|nul|prn|com\d|lpt\d)(\.|$)", part, re.IGNORECASE), part


@in_repository
def test_hooks_of_the_template() -> None:
    """The template passes its own hooks."""
    binaries = Path(sys.executable).parent
    command = [str(binaries / "pre-commit"), "run", "--all-files"]
    path = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    assert "Skipped" not in execute(command, ROOT, clean_environment() | path)
