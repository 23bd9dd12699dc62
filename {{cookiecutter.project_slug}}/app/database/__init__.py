"""The database: one engine for the process, one session for each request."""
