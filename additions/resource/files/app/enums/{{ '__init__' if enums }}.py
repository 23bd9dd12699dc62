"""Enums, one module for each resource: what models and schemas both import."""
