"""Does the last release serve on while this one migrates, and then beside it?

    make test-rollout from=v1.2.0

The code of a git reference, of the latest tag if none is named, is started on a
throwaway database, and is sent what its OpenAPI document describes. Meanwhile the
migrations of this folder run, and then both releases serve together. Each request is
to be answered as before, nobody waits for long, and what was stored stays as it was.
"""

{% if cookiecutter.engine == "async" %}
import asyncio
{% endif %}
import io
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from app.settings import ROOT
from tests.client import HEADERS
from tests.conftest import drop
from tests.server import NOTE, new_url

Schema = dict[str, Any]
PREPARE, CHECK = ("app.database", "prepare"), ("app.database", "check")

SECONDS = 3
"""How long requests are sent before the migrations, after them, and to both."""

PATIENCE = 5
"""Seconds that a request may take while the migrations run."""

LARGEST, LONGEST = 2**31 - 1, 500
"""Bounds of values where a schema has none, or higher ones."""

FORMATS = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z"}
FORMATS |= {"uuid": "00000000-0000-4000-8000-{:012}", "uri": "https://example.com/{}"}
TEXTS = "{}@example.com", "{}", "1.25", *FORMATS.values()
ERROR = r"[\w.]+(Error|Exception): |.*(The database is not|Not) ready: "


@dataclass
class Call:
    """What can be called: GET, or else POST and what then is done with its row."""

    path: str
    item: str = ""
    create: Schema | None = None
    change: Schema | None = None


class Rollout:
    """What happens now, and what went wrong."""

    MIGRATING = "while the migrations ran"

    def __init__(self) -> None:
        self.phase = "before the migrations"
        self.over = threading.Event()
        self.faults: Counter[str] = Counter()


class Release:
    """A release that serves, and what is sent to it."""

    numbers = itertools.count(1)

    def __init__(self, name: str, client: httpx2.Client, rollout: Rollout) -> None:
        self.name, self.client, self.rollout = name, client, rollout
        document = client.get("/openapi.json").json()
        self.paths: dict[str, Any] = document["paths"]
        self.schemas: dict[str, Schema] = document["components"]["schemas"]
        self.rows: dict[str, Schema] = {}
        self.keys: dict[str, Any] = {}

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        trial: bool = False,
    ) -> Any:
        """Send a request; return a good answer, or note what is wrong and return None.

        A 4xx is no fault in a trial, nor is a 503 while the migrations run.
        """
        phases, started = {self.rollout.phase}, time.monotonic()
        try:
            response = self.client.request(method, path, json=body)
            status: int | str = response.status_code
        except httpx2.TransportError as error:
            status = type(error).__name__
        phases.add(self.rollout.phase)
        place = re.sub(r"/[^/]*\d[^/]*$", "/…", path)
        where = f"{self.name}, {self.rollout.phase}: {method} {place}"
        is_migrating = Rollout.MIGRATING in phases
        if is_migrating and time.monotonic() - started > PATIENCE:
            self.rollout.faults[f"{where} took longer than {PATIENCE} s"] += 1
        if str(status).startswith("2"):
            is_json = "json" in response.headers.get("Content-Type", "")
            answer = response.json() if is_json and response.content else None
            return {} if answer is None else answer
        is_refused = trial and str(status).startswith("4")
        if not (is_refused or (is_migrating and status == 503)):
            self.rollout.faults[f"{where} was answered {status}"] += 1
        return None

    def find_calls(self) -> Iterator[Call]:
        """Yield what can be called without knowing a row."""
        for path, methods in self.paths.items():
            if path.startswith("/health/"):  # asked when there is time to answer
                continue
            parameters = methods.get("get", {}).get("parameters", [])
            if "get" in methods and not any(one.get("required") for one in parameters):
                yield Call(path)
            pattern = re.escape(path) + r"/\{\w+\}"
            items = [other for other in self.paths if re.fullmatch(pattern, other)]
            item = items[0] if items and "get" in self.paths[items[0]] else ""
            create = self.schema_of(methods.get("post", {}))
            if create and "{" not in path:
                change = self.schema_of(self.paths.get(item, {}).get("patch", {}))
                yield Call(path, item, create, change)
            elif "post" in methods and "{" not in path:
                say(f"{self.name}: POST {path} is left out: it takes no object")

    def choose_calls(self) -> list[Call]:
        """Return the calls that are answered well; one may need a row of another."""
        waiting = list(self.find_calls())
        chosen: list[Call] = []
        while well := [call for call in waiting if self.make(call, trial=True)]:
            chosen += well
            waiting = [call for call in waiting if call not in well]
        for call in waiting:
            method = "POST" if call.create else "GET"
            say(f"{self.name}: {method} {call.path} is left out: it is refused")
        return chosen

    def make(self, call: Call, *, trial: bool = False) -> bool:
        """Make a call, and tell whether it was answered well."""
        if not call.create:
            return self.send("GET", call.path, trial=trial) is not None
        for whole in (True, False):
            body = self.body(call.create, whole=whole)
            row = self.send("POST", call.path, body, trial=trial)
            if row is None:
                return False
            if not isinstance(row, dict) or "id" not in row:  # it does something else
                continue
            singular = call.path.rpartition("/")[2].removesuffix("s")
            self.keys[f"{singular}_id"] = row["id"]
            if not call.item:
                continue
            item = f"{call.path}/{row['id']}"
            self.rows[item] = {name: row[name] for name in body if name in row}
            if call.change and whole:
                change = self.body(call.change, whole=True)
                row = self.send("PATCH", item, change, trial=trial) or {}
                self.rows[item] = {name: row[name] for name in body if name in row}
            if self.send("GET", item, trial=trial) is None and trial:
                return False
        return True

    def repeat(self, call: Call) -> None:
        """Make a call again and again."""
        while not self.rollout.over.is_set():
            self.make(call)
            time.sleep(0.1)

    def schema_of(self, operation: Schema) -> Schema | None:
        """Return what the body of a request is to be, if it is an object in JSON."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        found = self.resolve(schema) if schema else None
        return found if found and "properties" in found else None

    def resolve(self, schema: Schema) -> Schema:
        """Return a schema itself, in place of its name, or of a choice."""
        if "$ref" in schema:
            return self.resolve(self.schemas[schema["$ref"].rpartition("/")[2]])
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return self.resolve(schema[choice][0])
        return schema

    def body(self, schema: Schema, *, whole: bool) -> dict[str, Any]:
        """Return a body: with all fields, or with those that are required."""
        fields = schema["properties"]
        names = fields if whole else schema.get("required", [])
        return {name: self.value(fields[name], name) for name in names}

    def value(self, schema: Schema, name: str = "") -> Any:
        """Return a new value that a schema takes: one that fills its column."""
        schema = self.resolve(schema)
        kind = schema.get("type")
        if name in self.keys:
            return self.keys[name]
        if "const" in schema or "enum" in schema:
            return schema["enum"][-1] if "enum" in schema else schema["const"]
        if kind == "object" and "properties" in schema:
            return self.body(schema, whole=True)
        if kind == "array":
            return [self.value(schema["items"])] * schema.get("minItems", 0)
        if kind in {"integer", "number"}:
            value = min(schema.get("maximum", LARGEST), LARGEST)
            return int(value) if kind == "integer" else value
        values = {"string": self.text(schema), "boolean": True, "object": {}}
        return values.get(str(kind))

    def text(self, schema: Schema) -> str:
        """Return a new text that a schema takes."""
        number = next(self.numbers)
        most = min(schema.get("maxLength", LONGEST), LONGEST)
        long, pattern = str(number).ljust(most, "x"), schema.get("pattern", "")
        forms = [FORMATS.get(schema.get("format", ""), long), *TEXTS]
        texts = (form.format(number)[:most] for form in forms)
        return next((text for text in texts if re.search(pattern, text)), "")

    def compare(self, rows: dict[str, Schema]) -> None:
        """Note the rows that are lost, or have other values than those stored."""
        for path, row in rows.items():
            if path.rpartition("/")[0] not in self.paths:
                continue
            answer = self.send("GET", path) or row
            for name in row.keys() & answer.keys():
                if answer[name] != row[name]:
                    field = f"{path.rpartition('/')[0]}: {name}"
                    self.rollout.faults[f"{self.name}: another value in {field}"] += 1


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def check_out(reference: str | None, folder: Path) -> str:
    """Write the files of a git reference, of the latest tag if it is None."""
    git = shutil.which("git") or sys.exit("ERROR: git is not installed")

    def run(*command: str) -> bytes:
        result = subprocess.run([git, *command], cwd=ROOT, capture_output=True)  # noqa: S603, PLW1510
        if result.returncode:
            words = result.stderr.decode().strip().splitlines()[:1] or ["git fails"]
            sys.exit(f"ERROR: {words[0]} - name the last release: from=v1.2.0, say")
        return result.stdout

    reference = reference or run("describe", "--tags", "--abbrev=0").decode().strip()
    archive = run("archive", "--format=tar", reference)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    with suppress(FileNotFoundError):
        shutil.copy(ROOT / ".env", folder)
    return reference


def execute(folder: Path, *command: str, **variables: str) -> str | None:
    """Run a command of a release; return the last line it says if it fails, or None."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return result.stderr.strip().splitlines()[-1] if result.returncode else None


@contextmanager
def serve(
    name: str,
    folder: Path,
    rollout: Rollout,
    variables: dict[str, str],
) -> Iterator[Release]:
    """Serve a release; print the first error of its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app.main:app", f"--port={port}"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, env=os.environ | variables, stdout=log, stderr=log
        )
        address = f"http://127.0.0.1:{port}"
        try:
            with httpx2.Client(
                base_url=address,
                headers=HEADERS,
                # A server closes a connection after an error: none is used twice.
                limits=httpx2.Limits(max_keepalive_connections=0),
                timeout=60,
                trust_env=False,
            ) as client:
                while process.poll() is None:
                    with suppress(httpx2.TransportError):
                        client.get("/health/live")
                        break
                    time.sleep(0.1)
                else:
                    sys.exit(f"ERROR: {name} does not start")
                yield Release(name, client, rollout)
        finally:
            process.terminate()
            process.wait()
            log.seek(0)
            errors = (line for line in log if re.match(ERROR, line))
            say(f"{name}: its first error: {next(errors, 'none').strip()[:200]}")


def roll_out(reference: str, folder: Path, url: str) -> Counter[str]:
    """Do what a release does, under traffic; return what went wrong."""
    rollout = Rollout()
    variables = {"DATABASE_URL": url, "DATABASE_READ_URL": url}
    variables["DATABASE_PREPARE_ON_STARTUP"] = "false"
    old, new = f"the last release, {reference}", "this release"
    if words := execute(folder, *PREPARE, **variables):
        sys.exit(f"ERROR: {old}, cannot begin: {words}")
    with ThreadPoolExecutor(100) as pool, ExitStack() as stack:
        stack.callback(rollout.over.set)
        releases: list[Release] = []
        sending: list[Future[None]] = []

        def begin(name: str, folder: Path) -> None:
            release = stack.enter_context(serve(name, folder, rollout, variables))
            calls = release.choose_calls()
            releases.append(release)
            sending.extend(pool.submit(release.repeat, call) for call in calls)
            time.sleep(SECONDS)

        begin(old, folder)
        rollout.phase = Rollout.MIGRATING
        failure = execute(ROOT, *PREPARE, **variables)
        time.sleep(SECONDS)
        rollout.phase = "side by side"
        if failure:
            rollout.faults[f"the migrations fail: {failure}"] += 1
        else:
            begin(new, ROOT)
        rollout.over.set()
        for future in sending:
            future.result()
        rollout.phase = "at the end"
        for release in releases:
            release.send("GET", "/health/ready")
        for reader, writer in itertools.product(releases, repeat=2):
            reader.compare(writer.rows)
        say(f"{sum(len(release.rows) for release in releases)} rows were stored")
    if words := execute(folder, *CHECK, **variables):
        rollout.faults[f"{old}, cannot start again: {words}"] += 1
    return rollout.faults


def main() -> None:
    """Compare, and end with a line for each thing that went wrong."""
    if NOTE:
        sys.exit(f"ERROR: this needs a server: it would run {NOTE}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = check_out(next(iter(sys.argv[1:]), None), folder)
        url = new_url()
        address = url.render_as_string(hide_password=False)
        try:
            faults = roll_out(reference, folder, address)
        finally:
            {{ "asyncio.run(drop(url))" if cookiecutter.engine == "async" else "drop(url)" }}
    if faults:
        sys.exit("\n".join(f"ERROR: {fault} ({faults[fault]})" for fault in faults))
    say("Both releases serve, before, during and after the migrations.")


if __name__ == "__main__":
    main()
