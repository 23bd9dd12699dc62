"""What concerns the whole service, such as CORS: a module for each, with `install`."""

from importlib import import_module
from pkgutil import iter_modules

from fastapi import FastAPI


def install_extensions(app: FastAPI) -> None:
    """Let each module add its part: middleware, handlers of errors, a lifespan."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}").install(app)
