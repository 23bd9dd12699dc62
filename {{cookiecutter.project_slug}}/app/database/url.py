{% set has_server = cookiecutter.database != "sqlite" %}
"""The URL of the database."""

{% if has_server %}
from pathlib import Path

{% endif %}
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.database import dialect

{% if has_server %}
LAST_PORT = 65_535
FILES = {{ '{"sslrootcert", "sslcert", "sslkey"}' if cookiecutter.database == "postgresql" else '{"ssl_ca", "ssl_cert", "ssl_key"}' }}
"""Options that name a file."""

{% endif %}
UNREADABLE = (ArgumentError, TypeError, ValueError)
ENCODING = "percent-encode the password: @ is %40, / is %2F, : is %3A, % is %25"


def parse_url(text: str | URL) -> URL:
    """Read the URL of a database; the driver may be left out.

    Raises:
        ValueError: It is no URL, or none that the service could use: it says why.
    """
    try:
        url = make_url(text.strip() if isinstance(text, str) else text)
        url.render_as_string(hide_password=False)  # fails on what is not UTF-8
    except UNREADABLE:
        message = f"is no database URL like {dialect.EXAMPLE}; {ENCODING}"
        raise ValueError(message) from None
    backend = dialect.DRIVER.partition("+")[0]
{% if has_server %}
    # The other name is how some platforms write it.
    if url.drivername in {backend, "{{ "postgres" if cookiecutter.database == "postgresql" else "mariadb" }}"}:
{% else %}
    if url.drivername == backend:
{% endif %}
        url = url.set(drivername=dialect.DRIVER)
    if url.get_backend_name() != backend:
        message = f"{url.drivername} is not used here: expected {dialect.EXAMPLE}"
        raise ValueError(message)
    if url.drivername != dialect.DRIVER:
        message = f"the driver must be {dialect.DRIVER}, not {url.drivername}"
        raise ValueError(message)
    {{ "return dialect.translate(check(url))" if has_server else "return check(url)" }}


def check(url: URL) -> URL:
    """Find what would otherwise fail later, in the words of a library.

    Raises:
        ValueError: No database can have this URL.
    """
{% if has_server %}
    for name in ("password", "passwd"):  # to where SQLAlchemy does not show it
        if isinstance(password := url.query.get(name), str):
            url = url.set(password=password).difference_update_query([name])
    for name, file in url.query.items():
{% if cookiecutter.database == "postgresql" %}
        if name in FILES and not (file == "system" or Path(str(file)).is_file()):
{% else %}
        if name.replace("-", "_") in FILES and not Path(str(file)).is_file():
{% endif %}
            raise ValueError(f"{name}: there is no file {file}")
    if "@" in f"{url.host}{url.database}":
        raise ValueError(ENCODING)
    if not url.database or not 0 < (1 if url.port is None else url.port) <= LAST_PORT:
        message = f"needs a database, and a port that exists, as in {dialect.EXAMPLE}"
        raise ValueError(message)
{% else %}
    if url.host:
        raise ValueError(f"the path of a file follows three slashes: {dialect.EXAMPLE}")
{% endif %}
    if "\0" in f"{url.username}{url.password}{url.host}{url.database}":
        raise ValueError("has a NUL character, %00")
    try:
        url.get_dialect()().create_connect_args(url)
    except UNREADABLE:
        message = "an option, after the ?, has a value that is not possible"
        raise ValueError(message) from None
    return url
