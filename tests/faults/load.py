"""Clients: many at once, and what they were told."""

import concurrent.futures
import contextlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import anyio
import httpx2

POOL = {"DATABASE_POOL_SIZE": "5", "DATABASE_MAX_OVERFLOW": "10", "DATABASE_PREPARE_ON_STARTUP": "true"}
"""A pool of 15 connections."""


def workers(number: int) -> tuple[str, ...]:
    """Return the options of uvicorn for so many processes."""
    # It kills a worker that has not answered it for 5 s, which an import may take where many start on few cores.
    return ("--workers", str(number), "--timeout-worker-healthcheck", "60")


async def send(client: httpx2.AsyncClient, number: int, method: str, path: str, **options: object) -> Counter[int]:
    """Send so many requests at once, and count the statuses."""
    counts: Counter[int] = Counter()

    async def one() -> None:
        response = await client.request(method, path, **options)
        counts[response.status_code] += 1

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(one)
    return counts


def asynchronous(base: httpx2.Client) -> httpx2.AsyncClient:
    """Return a client without limits for the same service."""
    # No connection is used twice: uvicorn closes those on which a request has failed.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(base_url=base.base_url, timeout=60, limits=limits, trust_env=False)


def write_and_read(client: httpx2.Client, number: int, turns: int) -> Counter[int]:
    """Let so many clients store users, and read each that was stored; count the statuses of reading."""

    def pairs(place: int) -> list[int]:
        with httpx2.Client(base_url=client.base_url, timeout=60, trust_env=False) as own:
            statuses = []
            for turn in range(turns):
                body = {"email": f"{place}-{turn}@example.com", "name": "x"}
                response = own.post("/api/v1/users", json=body)
                if response.status_code == 201:
                    statuses.append(own.get(response.headers["Location"]).status_code)
            return statuses

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        return Counter(status for some in pool.map(pairs, range(number)) for status in some)


@contextlib.contextmanager
def writers(
    client: httpx2.Client, number: int, *, change: bool = False, path: str = "/api/v1/users"
) -> Iterator[tuple[list[str], Counter[int], list[str]]]:
    """Write users as fast as so many clients can; yield the acknowledged addresses, the statuses, the bodies of 5xx.

    With `change`, each user is changed, too: that reads first, and then writes.
    """
    acknowledged: list[str] = []
    statuses: Counter[int] = Counter()
    bodies: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with httpx2.Client(base_url=client.base_url, timeout=30, trust_env=False) as own:
            while not stop.is_set():
                email = f"{uuid.uuid4().hex}@example.com"
                response = own.post(path, json={"email": email, "name": "x"})
                statuses[response.status_code] += 1
                if response.status_code == 201:
                    acknowledged.append(email)
                    if change:
                        response = own.patch(response.headers["Location"], json={"name": "y"})
                        statuses[response.status_code] += 1
                if response.status_code >= 500:
                    bodies.append(f"{response.text} {dict(response.headers)}")
                    time.sleep(0.01)

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        running = [pool.submit(write) for _ in range(number)]
        try:
            yield acknowledged, statuses, bodies
        finally:
            stop.set()
    for one in running:
        one.result()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return once something is true; fail when it is not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(0.05)
