"""What the service says, and where."""

import logging


def configure_logging() -> None:
    """Write the log to stderr, unless whoever runs this process has set it up."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    # asyncmy logs the server's notes on names that it does not use.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
