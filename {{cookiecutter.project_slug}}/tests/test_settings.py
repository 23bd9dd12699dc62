"""Settings: typed, validated, and said in one line when one is wrong."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import ROOT, Settings, get_settings

EXAMPLES = {"database_url", "database_prepare_on_startup"}
"""Settings whose example is no default."""


def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is complete, and has the default values but for those."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    example = Settings(_env_file=ROOT / ".env.example")  # type: ignore[call-arg]
    text = (ROOT / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        assert name.upper() in text
        is_yours = field.is_required() and not name.startswith("database_")
        if not is_yours and name not in EXAMPLES:
            default = field.get_default(call_default_factory=True)
            assert getattr(example, name) == default
    assert Settings.model_fields["database_prepare_on_startup"].default is False


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_POOL_SIZE", "many", "valid integer"),
        ("DATABASE_URL", "s3cret", "no database URL"),
        ("DATABASE_URL", "{{ cookiecutter.database }}:///\udcff", "no database URL"),
        ("DATABASE_URL", "oracle://ada:s3cret@host/name", "oracle is not used here"),
        ("DATABASE_URL", "{{ cookiecutter.database }}+x://ada:s3cret@host", "driver must be"),
{% if cookiecutter.database == "sqlite" %}
        ("DATABASE_URL", "sqlite://s3cret.db", "three slashes"),
        ("DATABASE_URL", "sqlite:///file.db%00", "NUL"),
        ("DATABASE_URL", "sqlite:///file.db?timeout=s3cret", "option"),
{% else %}
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:pa@s:s3cret@host/name", "%40"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:pa@s/s3cret@host/name", "%40"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://ada:s3cret@host", "needs a database"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://host:65536/name", "port that exists"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://host:0/name", "port that exists"),
        ("DATABASE_URL", "{{ cookiecutter.database }}://host/name%00", "NUL"),
{% if cookiecutter.database == "postgresql" %}
        ("DATABASE_URL", "postgresql://host/name?port=s3cret", "option"),
        ("DATABASE_URL", "postgresql://host/name?sslcert=/no", "there is no file /no"),
        ("DATABASE_URL", "postgresql://host/name?pgbouncer=true", "DATABASE_PGBOUNCER"),
{% else %}
        ("DATABASE_URL", "mysql://host/name?connect_timeout=s3cret", "option"),
        ("DATABASE_URL", "mysql://host/name?ssl-ca=/no", "there is no file /no"),
        ("DATABASE_URL", "mysql://host/name?ssl-mode=VERIFY_CA", "ssl_ca="),
{% endif %}
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


BOUNDS = {
    "DATABASE_READ_URL": ([""], ["s3cret"]),
    "DATABASE_POOL_SIZE": (["1", ""], ["0", "1.5"]),
    "DATABASE_MAX_OVERFLOW": (["0"], ["-1"]),
    "DATABASE_POOL_TIMEOUT": (["0.001", "86400"], ["0", "86401", "nan"]),
    "DATABASE_POOL_RECYCLE": (["-1"], ["-2"]),
    "DATABASE_SLOW_QUERY": (["0", "86400"], ["-1", "86401"]),
    "DATABASE_STATEMENT_TIMEOUT": (["0.001", "86400"], ["0", "86401"]),
    "DATABASE_STARTUP_TIMEOUT": (["0", "86400"], ["-1", "86401"]),
    "LOG_LEVEL": (["debug", "INFO", "warning", "ERROR", "CRITICAL"], ["loud"]),
    "LOG_FORMAT": (["text", "json"], ["xml"]),
    "DATABASE_ECHO": (["true", "0"], ["maybe"]),
}


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values up to the bounds are taken, of the environment before the file."""
    for name, (accepted, refused) in BOUNDS.items():
        for value in (*accepted, *refused, accepted[0]):
            monkeypatch.setenv(name, value)
            with pytest.raises(ValidationError) if value in refused else nullcontext():
                Settings()  # type: ignore[call-arg]


def test_unreadable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So do a file in another encoding, a list that is no JSON, and no URL at all."""

    class OwnSettings(Settings):
        origins: list[str]

    (tmp_path / ".env").write_text("NOBODY_KNOWS=1")  # it may be for others
    files = (ROOT / ".env.example", tmp_path / ".env")
    Settings(_env_file=files)  # type: ignore[call-arg]
    (tmp_path / ".env").write_bytes("# ä".encode("latin-1"))
    monkeypatch.setattr("app.settings.Settings", OwnSettings)
    monkeypatch.setenv("ORIGINS", "a,b")
    with pytest.raises(SystemExit, match=r'"origins".*: write it as JSON, \["a",'):
        get_settings.__wrapped__()
    monkeypatch.setitem(OwnSettings.model_config, "env_file", tmp_path / ".env")
    with pytest.raises(SystemExit, match=r"^Wrong settings: \.env .* UTF-8.*$"):
        get_settings.__wrapped__()
    monkeypatch.setitem(OwnSettings.model_config, "env_file", None)
    for name in ("DATABASE_URL", "ORIGINS"):
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit, match="DATABASE_URL"):
        get_settings.__wrapped__()
