"""What users promise."""

from typing import ClassVar

from tests.resource import Body, ResourceTests, Values


class TestUsers(ResourceTests):
    """Users, and what each field takes."""

    path = "/api/v1/users"
    one: ClassVar[Body] = {
        "email": "one@example.com",
        "name": "name",
        "is_active": True,
    }
    other: ClassVar[Body] = {
        "email": "other@example.com",
        "name": "other name",
        "is_active": False,
    }
    unique: ClassVar[Body] = {"email": "third@example.com"}
    defaults: ClassVar[Body] = {"is_active": True}
    accepted: ClassVar[Values] = {
        "email": ["a@b", "a.b+c@example.com", "a" * 252 + "@b"],
        "name": ["x", "x" * 100, "\U0001f600" * 100],
        "is_active": [True, False],
    }
    refused: ClassVar[Values] = {
        "email": [None, "", "ada", "@b", "a@", "a b@c", "a@-b", "a" * 253 + "@b"],
        "name": [None, "", "x" * 101, "\x00", 1],
        "is_active": [None, "true", 1],
        "unknown": ["a field that there is not"],
    }
    forms: ClassVar[Values] = {"email": [("One@Example.COM", "one@example.com")]}
