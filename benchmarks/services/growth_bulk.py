"""Store rows in one of three ways; print the seconds, and the mebibytes that the process has grown by at its peak.

`benchmarks/growth.py` starts it in the folder of a generated project, whose `app` it imports.
"""

import asyncio
import resource
import sys
import time
from decimal import Decimal
from typing import Any

from app.database.session import get_session_factory
from app.models.product import Product
from sqlalchemy import insert


def product(number: int) -> dict[str, Any]:
    """Return the fields of a row."""
    return {"name": f"Lamp {number}", "description": "Warm light", "price": Decimal("19.90"), "quantity": number}


async def store(way: str, rows: int) -> None:
    """Store rows in one transaction."""
    async with get_session_factory().begin() as session:
        if way == "add":
            for number in range(rows):
                session.add(Product(**product(number)))
        elif way == "insert":
            await session.execute(insert(Product), [product(number) for number in range(rows)])
        else:
            for start in range(0, rows, 1000):
                chunk = [product(number) for number in range(start, min(start + 1000, rows))]
                await session.execute(insert(Product), chunk)


def peak() -> float:
    """Return the most memory that this process has had, in mebibytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)


async def main(way: str, rows: int) -> None:
    """Measure."""
    await store(way, 1)  # connects
    before, started = peak(), time.perf_counter()
    await store(way, rows)
    print(time.perf_counter() - started, peak() - before)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
