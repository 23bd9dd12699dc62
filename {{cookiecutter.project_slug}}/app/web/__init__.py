"""What every route relies on: errors as problems, queries, logs, start and end."""
