"""The tables, one module for each.

Importing this package imports every module in it, so that `Base.metadata` is
complete without a list to maintain. What is wrong between models is said here, too.
"""

from importlib import import_module
from pkgutil import iter_modules

from sqlalchemy.orm import configure_mappers

from app.models.rules import refuse_faulty_models

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")

configure_mappers()
refuse_faulty_models()  # a model may have configured those before it by itself
