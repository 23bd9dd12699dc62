"""What clients, and those who balance them, see of a service while its servers come and go."""

import concurrent.futures
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx2

PLACES = 15
"""Connections that the pool can lend."""


@contextlib.contextmanager
def readers(client: httpx2.Client, path: str = "/api/v1/users?limit=1", number: int = 2) -> Iterator[Counter[int]]:
    """Read all the time; yield the statuses."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def read() -> None:
        with httpx2.Client(base_url=client.base_url, timeout=30, trust_env=False) as own:
            while not stop.is_set():
                statuses[own.get(path).status_code] += 1
                time.sleep(0.02)

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        running = [pool.submit(read) for _ in range(number)]
        try:
            yield statuses
        finally:
            stop.set()
    for one in running:
        one.result()


def is_ready(client: httpx2.Client) -> bool:
    """Tell whether the service is ready; the answer comes within the bound of the probe."""
    started = time.monotonic()
    status = client.get("/health/ready").status_code
    assert time.monotonic() - started < 4  # 2 s, and a busy machine
    assert status in {200, 503}
    return status == 200


def check_places(client: httpx2.Client) -> None:
    """See that the pool can lend all its connections, and has them back then."""
    with concurrent.futures.ThreadPoolExecutor(PLACES) as pool:
        sent = [pool.submit(client.get, "/stress/slow?seconds=0.5") for _ in range(PLACES)]
        assert [one.result().status_code for one in sent] == [200] * PLACES
    assert client.get("/stress/pool").json() == 0
