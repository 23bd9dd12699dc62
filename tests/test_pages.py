"""The pages of a generated project say what is so: README.md, AGENTS.md and docs/."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests import pages
from tests.conftest import MAIN, Project
from tests.variants import Variant, environment

LIMITS = {"README.md": 150, "AGENTS.md": 60}
"""Lines that a page may have."""

TO_BE_WRITTEN = {
    "app/extensions/telemetry.py",
    "app/enums/order.py",
    "app/models/order.py",
    "app/schemas/order.py",
    "app/api/routes/orders.py",
    "tests/rollout.py",
    "tests/test_orders.py",
}
"""Files that the pages name as examples of what a team will write, without their code."""

MADE_BY_TOOLS = {"uv.lock", ".cruft.json", "dist"}
"""Files that commands in the pages make."""

OF_THE_TEMPLATE = {"CHANGELOG.md", "add.py"}
"""Files that the pages name, and say that they are the template's."""

WORDS = {
    "sqlite": r"sqlite|PRAGMA|\bWAL\b|BEGIN IMMEDIATE",
    "postgresql": r"postgres|asyncpg|psycopg|pgbouncer|pg_|tenant",
    "mysql": r"mysql|mariadb|asyncmy|SHOW PROCESSLIST",
    "alembic": r"\.venv/bin/alembic|versions/|\ba migration, ",
    "create_all": r"create_all` creates",
    "async": r"\bawait session\b|asyncio\.gather|async with session",
    "sync": r"plain functions|threads",
}
"""Words that belong to the pages of one answer."""

SHARED = {
    "mysql": ["SQLite stands in"],  # its tests, without a server
    "create_all": [r'.venv/bin/alembic revision --autogenerate -m "what we added"', ".venv/bin/alembic stamp head"],
}
"""What the pages of an answer say of another one."""


@pytest.fixture
def texts(project: Project) -> dict[str, str]:
    """Return the pages, by their paths."""
    return pages.pages_of(project.path)


def test_length(texts: dict[str, str]) -> None:
    """What everybody reads is short."""
    for name, limit in LIMITS.items():
        assert len(texts[name].splitlines()) <= limit, name


def test_questions(texts: dict[str, str]) -> None:
    """The README names each page of docs/ by its question, which is the title of the page."""
    rows = dict(re.findall(r"^\| (.*) \| \[.*\]\((docs/.*)\) \|$", texts["README.md"], re.MULTILINE))
    assert sorted(rows.values()) == sorted(name for name in texts if name.startswith("docs/"))
    for question, name in rows.items():
        title = texts[name].splitlines()[0]
        assert title.startswith("# "), name
        assert title.endswith(("?", "…?")), title
        assert question.endswith("?"), question


def anchors(page: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", pages.BLOCK.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links(project: Project, texts: dict[str, str]) -> None:
    """Each link leads to a file, and to a heading in it."""
    for name, page in texts.items():
        for target in re.findall(r"\]\(([^)]+)\)", pages.BLOCK.sub("", page)):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            found = ((project.path / name).parent / path).resolve() if path else project.path / name
            assert found.is_file(), f"{name}: {target}"
            assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), f"{name}: {target}"


def test_commands(project: Project, texts: dict[str, str]) -> None:
    """Each target of make, each program and each module that is to be run is there."""
    makefile = (project.path / "Makefile").read_text(encoding="utf-8")
    written = {name.removesuffix(".py").replace("/", ".") for name in pages.files_in(texts)}
    modules = set()
    for name, page in texts.items():
        for code in pages.code_of(page):
            for targets in re.findall(r"\bmake ((?:[a-z-]+(?: |\b)(?!=))+)", code):
                for target in targets.split():
                    assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name}: make {target}"
            for program in re.findall(r"\.venv/bin/([\w-]+)", code):
                assert (environment(MAIN) / "bin" / program).exists(), f"{name}: {program}"
            modules |= {*re.findall(r"\bpython -m ([\w.]+)", code)} - written
    assert modules == {"app.database", "pip", "pytest", "venv"}
    assert (project.path / "app" / "database" / "__main__.py").exists()


def test_paths(project: Project, texts: dict[str, str]) -> None:
    """Each file and folder that is named is there, but for those that a team is to write."""
    written = pages.files_in(texts).keys() | TO_BE_WRITTEN
    assert not [name for name in written if (project.path / name).exists()]
    known = {path.name for path in project.files()} | {Path(name).name for name in written} | MADE_BY_TOOLS
    for name, page in texts.items():
        for code in pages.code_of(page.replace(pages.map_of(page), "")):
            for path in re.findall(
                r"(?<![\w/.:$@-])[\w.*-]+(?:/[\w.*-]+)+/?|(?<![\w/.-])[\w-]+\.(?:py|md|yaml)\b", code
            ):
                if path in written or path in OF_THE_TEMPLATE or re.fullmatch(r"[\w-]+/[\w-]+", path):
                    continue  # the last is such as `used/idle`: a folder ends in a stroke
                base, _, rest = path.partition("/")
                folder = environment(MAIN) if base == ".venv" else project.path
                found = [*folder.glob(rest if base == ".venv" else path)]
                assert found or path in known, f"{name}: {path}"


def test_map(project: Project, texts: dict[str, str]) -> None:
    """The map shows all there is in app/, and the folders beside it."""
    shown = {}
    for line in pages.map_of(texts["README.md"]).splitlines():
        folder = "app/" if line.startswith("  ") else ""
        names, _, rest = line.strip().partition("   ")
        for name in names.split():
            shown[folder + name] = re.findall(r"\w+\.py", rest)
    for name, files in shown.items():
        assert (project.path / name).exists(), name
        assert all((project.path / name / file).exists() for file in files), name
    inside = {f"app/{path.name}{'/' * path.is_dir()}" for path in (project.path / "app").iterdir()}
    inside = {name.replace("app/api/", "app/api/routes/") for name in inside if "__" not in name}
    assert inside <= shown.keys()


def test_words(texts: dict[str, str], variant: Variant) -> None:
    """Nothing is said that is about another database, engine, or way to make tables."""
    text = "\n".join(texts.values()).partition("## To update from the template")
    for answer, words in WORDS.items():
        if answer in vars(variant).values():
            assert re.search(words, "".join(text), re.IGNORECASE), answer
            continue
        rest = "".join(text)
        for shared in (words for own in vars(variant).values() for words in SHARED.get(own, [])):
            rest = rest.replace(shared, "")
        found = re.search(rf".*({words}).*", rest, re.IGNORECASE)
        assert found is None, f"{answer}: {found[0]}"


def test_messages(project: Project, texts: dict[str, str]) -> None:
    """The messages that AGENTS.md quotes are those of the rules."""
    files = [
        project.path / "pyproject.toml",
        project.path / ".pre-commit-config.yaml",
        *project.path.glob("app/**/*.py"),
    ]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    rows = re.findall(r"^\| .* \| (`.*`) \|$", texts["AGENTS.md"], re.MULTILINE)
    assert len(rows) >= 8
    for message in (message for row in rows for message in re.findall(r"`([^`]+)`", row)):
        assert message in sources, message
    ours = tomllib.loads(files[0].read_text(encoding="utf-8"))["tool"]
    contracts = [contract["name"] for contract in ours["importlinter"]["contracts"]]
    banned = [rule["msg"] for rule in ours["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"].values()]
    quoted = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    for rule in (*contracts, *banned):
        assert any(message in rule for message in quoted), f"AGENTS.md does not have: {rule}"


def test_settings(project: Project, texts: dict[str, str]) -> None:
    """The table of settings is what the class says."""
    code = "import json; from app.settings import Settings; print(json.dumps([[name.upper(), 'required' if "
    code += (
        "field.is_required() else field.default, field.description] for name, field in Settings.model_fields.items()]))"
    )
    fields = json.loads(project.run("python", "-c", code))
    found = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", texts["docs/settings.md"], re.MULTILINE)
    expected = [(name, str(default), text) for name, default, text in fields]
    lower = [
        (name, default.lower() if default in {"True", "False"} else default, text) for name, default, text in expected
    ]
    assert sorted(found) == sorted(lower)


def test_fragments(texts: dict[str, str]) -> None:
    """What is no file can be read as Python."""
    fragments = pages.fragments_in(texts)
    assert len(fragments) == 4
    for code in fragments:
        pages.check_syntax(code)


@pytest.mark.xdist_group("types")
@pytest.mark.parametrize(
    "variant", [Variant("sqlite", "async", "alembic"), Variant("postgresql", "sync", "alembic")], ids=str, indirect=True
)
def test_files(project: Project, variant: Variant, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The files in the pages are clean where a team writes them: style, format, layers and types."""
    copy = Project(Path(shutil.copytree(project.path, tmp_path / "copy")), variant)
    names = pages.write_files(copy.path)
    assert len(names) == 7 + (variant.engine == "async")
    copy.run("ruff", "check", "--no-cache")
    copy.run("ruff", "format", "--check", "--no-cache")
    copy.run("lint-imports", "--no-logo", "--no-cache")
    copy.run("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
    if variant.engine == "async":
        copy.run("pytest", "-q", "-p", "no:cacheprovider", "tests/test_names.py", "tests/test_users.py", API_KEY="x")
