"""The application, with what every service relies on."""

import logging
from operator import attrgetter
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from app import limits
from app.logs import configure_logging
{% if cookiecutter.engine == "sync" %}
from app.web.cut_short import finish_sessions
{% endif %}
from app.web.lifespan import lifespan
from app.web.middleware import body_limit, close_on_error, request_ids
from app.web.problems import install_problems, on_unexpected_error


class Service(FastAPI):
    """FastAPI with problems, ids, bounds, and a database that opens at the start."""

    def __init__(self, **options: Any) -> None:
        if logging.getLogger("uvicorn").handlers:  # it runs this: before its first line
            configure_logging()
        super().__init__(
            **options,
            lifespan=lifespan,
            # The name of the function: a generated client takes it.
            generate_unique_id_function=attrgetter("name"),
            # Its logs would be sent with what exceptions say, which may be secret.
            telemetry={"auto_configure": True, "logs": False},
            middleware=[  # inside of all that are added
                Middleware(body_limit, most=limits.BODY),
                Middleware(close_on_error),
                # What a route raises is answered here: what is around it, CORS, say,
                # has a part in each answer. Starlette does it outside of all.
                Middleware(ServerErrorMiddleware, handler=on_unexpected_error),
{% if cookiecutter.engine == "sync" %}
                Middleware(finish_sessions),
{% endif %}
            ],
        )
        install_problems(self)

    def build_middleware_stack(self) -> ASGIApp:
        """Give each request its id, outside of all middleware, whenever it is added.

        One may use a task of its own, from which the id does not come back to the
        lines of the server's log.
        """
        return request_ids(super().build_middleware_stack())
