"""What the service says, and where."""

import logging


def configure_logging() -> None:
    """Write the log to stderr, unless whoever runs this process has set it up."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    # The schema's tool tells its steps itself; its transactions are of no interest.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
