"""One module of routes for each resource. Each is found by itself, by its `router`."""

from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter


def find_routers() -> list[APIRouter]:
    """Return the routers of the resources: all but that of health."""
    names = [module.name for module in iter_modules(__path__)]
    modules = [import_module(f"{__name__}.{one}") for one in names if one != "health"]
    return [module.router for module in modules]
