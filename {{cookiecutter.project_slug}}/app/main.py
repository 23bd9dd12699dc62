"""The service: `uvicorn app.main:app`."""

import tomllib

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import limits, telemetry
from app.api.body_limit import BodyLimit
from app.api.problems import install_problems
from app.api.request_id import RequestID
from app.api.routes import health, products, users
from app.lifespan import OneLineStartupError, lifespan
from app.logs import configure_logging, has_server_log
from app.settings import ROOT


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function; a generated client takes this name."""
    return route.name


def create_app() -> FastAPI:
    """Return the application; it has not connected to anything yet."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    app = FastAPI(
        title=pyproject["tool"]["app"]["title"],
        description=pyproject["project"]["description"],
        version=pyproject["project"]["version"],
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        # Its logs would be sent with what exceptions say, which may be secret.
        telemetry={"auto_configure": telemetry.is_on(), "logs": False},
    )
    app.add_middleware(BodyLimit, most=limits.BODY)
    app.add_middleware(OneLineStartupError)
    app.add_middleware(RequestID)  # the last one added is around the others
    install_problems(app)
    # FastAPI asks one after another whether a path is its own.
    app.include_router(products.router, prefix="/api/v1")
    app.include_router(users.router, prefix="/api/v1")
    app.include_router(health.router)
    return app


if has_server_log():  # before the server's first line; otherwise when it starts
    configure_logging()
app = create_app()
