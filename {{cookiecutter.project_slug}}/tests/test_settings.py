{% set url = cookiecutter.__driver ~ ("://" if cookiecutter.database != "sqlite" else ":///") %}
"""Settings: typed, validated, and said in one line when one is wrong."""

from pathlib import Path

import pytest

from app.database.dialects import parse_url
from app.settings import ROOT, Settings, get_settings

{% if cookiecutter.database == "sqlite" %}
URL = "sqlite:///file.db"
{% else %}
URL = "{{ cookiecutter.database }}://ada:secret@host/name"
{% endif %}


def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is complete, and has the default values but for two."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    example = Settings(_env_file=ROOT / ".env.example")  # type: ignore[call-arg]
    explicit = {"database_url", "database_prepare_on_startup"}
    defaults = Settings(_env_file=None, database_url=parse_url(URL))  # type: ignore[call-arg]
    assert example.model_dump(exclude=explicit) == defaults.model_dump(exclude=explicit)
    text = (ROOT / ".env.example").read_text()
    for name in Settings.model_fields:
        assert name.upper() in text


def test_readme() -> None:
    """The table in the README is what the class says."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else str(field.default)
        default = default.lower() if default in {"True", "False"} else default
        assert f"| `{name.upper()}` | {default} | {field.description} |" in text


def test_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in the environment wins over the file."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    settings = Settings(_env_file=ROOT / ".env.example")  # type: ignore[call-arg]
    assert settings.database_pool_size == 7


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_POOL_SIZE", "many", "valid integer"),
        ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
        ("DATABASE_ECHO", "maybe", "valid boolean"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("LOG_LEVEL", "loud", "'DEBUG'"),
        ("DATABASE_STATEMENT_TIMEOUT", "inf", "less than or equal to 86400"),
        ("DATABASE_STATEMENT_TIMEOUT", "1e-9", "greater than or equal to 0.001"),
        ("DATABASE_POOL_TIMEOUT", "inf", "less than or equal to 86400"),
        ("DATABASE_POOL_TIMEOUT", "nan", "less than or equal to 86400"),
        ("DATABASE_STARTUP_TIMEOUT", "1e300", "less than or equal to 86400"),
        ("DATABASE_SLOW_QUERY", "inf", "less than or equal to 86400"),
        ("DATABASE_URL", "s3cret", "no database URL"),
        ("DATABASE_URL", f"{URL}\udcff", "no database URL"),
        ("DATABASE_URL", f"{URL}%00", "NUL"),
        ("DATABASE_URL", "oracle://ada:s3cret@host/name", "oracle is not used here"),
        ("DATABASE_URL", f"{URL.partition(':')[0]}+x://a:s3cret@b", "driver must be"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:pa@s:s3cret@host/name", "%40"),
{% if cookiecutter.database != "sqlite" %}
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:pa@s/s3cret@host/name", "%40"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:s3cret@host", "needs a database"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://host:99999/name", "port that exists"),
{% if cookiecutter.database == "postgresql" %}
        ("DATABASE_URL", f"{URL}?pgbouncer=true", "set DATABASE_PGBOUNCER"),
{% else %}
        ("DATABASE_URL", f"{URL}?sslaccept=strict", "ssl_ca="),
        ("DATABASE_URL", f"{URL}?ssl-mode=VERIFY_CA", "ssl_ca="),
{% endif %}
        ("DATABASE_URL", f"{URL}?{{ "port" if cookiecutter.database == "postgresql" else "connect_timeout" }}=s3cret", "option"),
{% else %}
        ("DATABASE_URL", "sqlite://s3cret.db", "three slashes"),
        ("DATABASE_URL", f"{URL}?timeout=s3cret", "option"),
{% endif %}
    ],
)
def test_one_line(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    words: str,
) -> None:
    """A wrong setting ends the process with one line, which keeps the value secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        get_settings.__wrapped__()
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", ["# ä".encode("latin-1"), "# a".encode("utf-16")])
def test_encoding(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: bytes,
) -> None:
    """A file that some editor has written in another encoding is one line, too."""
    file = tmp_path / ".env"
    file.write_bytes(content)
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    with pytest.raises(SystemExit, match=r"^Wrong settings: \.env .* UTF-8.*$"):
        get_settings.__wrapped__()


def test_level_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level may be written as uvicorn's are."""
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert Settings().log_level == "DEBUG"  # type: ignore[call-arg]


def test_missing_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no default for the one setting that only its user can know."""
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SystemExit, match="DATABASE_URL"):
        get_settings.__wrapped__()


def test_driver_may_be_left_out() -> None:
    """The service knows its driver."""
    settings = Settings(database_url=parse_url(URL))
    assert settings.database_url.drivername == "{{ cookiecutter.__driver }}"


def test_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of your own is written as JSON: the line says so."""

    class OwnSettings(Settings):
        origins: list[str]

    monkeypatch.setattr("app.settings.Settings", OwnSettings)
    monkeypatch.setenv("ORIGINS", "a,b")
    with pytest.raises(SystemExit, match=r'"origins".*: write it as JSON, \["a",'):
        get_settings.__wrapped__()
    monkeypatch.setenv("ORIGINS", '["a", "b"]')
    assert get_settings.__wrapped__().model_dump()["origins"] == ["a", "b"]
{% if cookiecutter.database != "sqlite" %}


def test_options_as_providers_write_them() -> None:
    """What encrypts a connection has the name that the driver knows."""
{% if cookiecutter.database == "postgresql" %}
    assert parse_url(f"{URL}?ssl=require").query == {"sslmode": "require"}
{% else %}
    url = parse_url(f"{URL}?ssl-mode=REQUIRED&ssl-ca=ca.pem")
    assert url.query == {"ssl_ca": "ca.pem", "ssl_check_hostname": "false"}
{% endif %}


def test_awkward_password() -> None:
    """A password survives, when it is percent-encoded."""
    url = parse_url(URL.replace("secret", "%40%2F%3A%25%20%23"))
    assert Settings(database_url=url).database_url.password == "@/:% #"  # noqa: S105


def test_password_that_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An @ in a password would move the host: the error says how to write it."""
    monkeypatch.setenv("DATABASE_URL", URL.replace("secret", "s3@cret"))
    with pytest.raises(SystemExit, match="%40") as caught:
        get_settings.__wrapped__()
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("secret", "s3cret"),
        URL.replace(":secret", "") + "?password=s3cret",
        URL.replace(":secret", "") + "?passwd=s3cret",
    ],
)
def test_password_is_not_shown(url: str) -> None:
    """What a log or a traceback may print of the settings has no password."""
    settings = Settings(database_url=parse_url(url))
    assert "s3cret" not in f"{settings!r} {settings}"
    assert settings.database_url.password == "s3cret"  # noqa: S105
{% endif %}
