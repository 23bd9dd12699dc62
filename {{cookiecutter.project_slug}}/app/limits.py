"""The bounds that columns and schemas share, so that neither holds more."""

INTEGER = 2**31 - 1
"""The largest value of an INTEGER column."""

BIG_INTEGER = 2**63 - 1
"""The largest value of a BIGINT column."""

EMAIL = 254
"""Characters in an e-mail address (RFC 5321, section 4.5.3.1.3)."""

PAGE = 100
"""Items on one page of a list."""

BODY = 2**20
"""Bytes in the body of a request."""
