"""The service: settings, database, models, schemas and routes."""
