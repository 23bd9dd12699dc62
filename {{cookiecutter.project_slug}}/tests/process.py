"""The service as uvicorn runs it, in a process of its own, seen from outside."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx2

from app.settings import ROOT

SERVICE = """
from app.settings import Settings
Settings.model_config["env_file"] = None
from app.main import app
from fastapi.middleware.cors import CORSMiddleware

app.add_middleware(CORSMiddleware, allow_origins=["*"])

@app.middleware("http")
async def use_a_task_of_its_own(request, call_next):
    return await call_next(request)

@app.get("/crash")
def crash() -> None:
    raise RuntimeError("postgresql://ada:s3cret@host/name")
"""


@dataclass
class Run:
    """What there was to see: the log, the ids of requests, what a collector got."""

    log: list[str] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    received: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def collector(received: dict[str, bytes]) -> Iterator[str]:
    """Collect telemetry, by path; yield the URL."""

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received[self.path] = received.get(self.path, b"") + body
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def send_requests(url: str, run: Run) -> None:
    """Send one that is refused, one that is answered, and one that crashes."""
    origin = {"Origin": "https://example.com"}
    with httpx2.Client(base_url=url, headers=origin, trust_env=False) as client:
        responses = [
            client.get("/api/v1/users?limit=none"),
            client.get("/api/v1/users?limit=1"),
            client.get("/crash", headers={"X-Request-ID": "ada"}),
        ]
    # Middleware that was added on the finished app is around errors, too.
    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert [response.status_code for response in responses] == [422, 200, 500]
    run.request_ids = [response.headers["X-Request-ID"] for response in responses]


def run_service(folder: Path) -> Run:
    """Run the service for three requests, with all that can be asked of it."""
    run = Run()
    (folder / "service.py").write_text(SERVICE)
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", "0"]
    with collector(run.received) as endpoint:
        asked = {"LOG_FORMAT": "json", "LOG_LEVEL": "INFO", "no_proxy": "127.0.0.1"}
        with subprocess.Popen(  # noqa: S603
            [*command, "--app-dir", str(folder), "--limit-max-requests", "3"],
            cwd=ROOT,
            env=os.environ | asked | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    run.log.append(line)
                    if match := re.search(r"running on (http://[\d.:]+)", line):
                        send_requests(match[1], run)
                    if "Finished server process" in line:
                        break
            finally:
                process.kill()  # all is said, or a request has failed
    return run
