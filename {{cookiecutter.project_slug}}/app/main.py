"""The service: `uvicorn app.main:app`."""

import tomllib

from fastapi import FastAPI
from fastapi.routing import APIRoute
{% if cookiecutter.engine == "sync" %}
from starlette.middleware import Middleware
{% endif %}
from starlette.types import ASGIApp

from app import limits
from app.api.routes import find_routers, health
{% if cookiecutter.engine == "sync" %}
from app.dependencies.cut_short import FinishSessions
{% endif %}
from app.logs import configure_logging, has_server_log
from app.settings import ROOT
from app.web import telemetry
from app.web.body_limit import BodyLimit
from app.web.lifespan import OneLineStartupError, lifespan
from app.web.problems import install_problems
from app.web.request_id import RequestID
from app.web.websockets import CloseOnError


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function; a generated client takes this name."""
    return route.name


class Service(FastAPI):
    """Gives each request its id, outside of all middleware, whenever it is added.

    A middleware that a project adds may use a task of its own, from which the id does
    not come back to the lines of the server's log.
    """

    def build_middleware_stack(self) -> ASGIApp:
        return RequestID(super().build_middleware_stack())


def create_app() -> FastAPI:
    """Return the application; it has not connected to anything yet."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    app = Service(
        title=pyproject["tool"]["app"]["title"],
        description=pyproject["project"]["description"],
        version=pyproject["project"]["version"],
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        # Its logs would be sent with what exceptions say, which may be secret.
        telemetry={"auto_configure": telemetry.is_on(), "logs": False},
{% if cookiecutter.engine == "sync" %}
        middleware=[Middleware(FinishSessions)],  # inside of all that are added
{% endif %}
    )
    install_problems(app)
    # The last one added is around the others.
    app.add_middleware(CloseOnError)
    app.add_middleware(BodyLimit, most=limits.BODY)
    app.add_middleware(OneLineStartupError)
    # FastAPI asks one after another whether a path is its own.
    for router in find_routers():
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    return app


if has_server_log():  # before the server's first line; otherwise when it starts
    configure_logging()
app = create_app()
