"""The service: `uvicorn app.main:app`."""

import tomllib

from app.api.routes import find_routers, health
from app.extensions import install_extensions
from app.settings import ROOT
from app.web.service import Service


def create_app() -> Service:
    """Return the application; it has not connected to anything yet."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    app = Service(
        title=pyproject["tool"]["app"]["title"],
        description=pyproject["project"]["description"],
        version=pyproject["project"]["version"],
    )
    # FastAPI asks one after another whether a path is its own.
    for router in find_routers():
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    install_extensions(app)
    return app


app = create_app()
