"""Values from the environment, and texts without them."""

import pytest

from pipeline.errors import ConfigError
from pipeline.sources.secrets import Secrets, holds_password


def test_a_password_is_redacted_however_it_is_spelled():
    secrets = Secrets({"DB": "postgresql://me:p%2Fw d@host/db?sslmode=require&token=abc123"})

    url = secrets.resolve("env:DB", "[source]: url")

    assert url.startswith("postgresql://me:")
    assert secrets.redact(f"cannot open {url}") == "cannot open env:DB"
    assert secrets.redact("password p/w d, or p%2Fw%20d, or abc123, by require") == (
        "password env:DB, or env:DB, or env:DB, by require"
    )


def test_a_part_of_a_text_may_come_from_the_environment():
    secrets = Secrets({"TOKEN": "hush-hush"})

    assert secrets.resolve("Bearer {env:TOKEN}", "headers") == "Bearer hush-hush"
    assert secrets.redact("401 for Bearer hush-hush") == "401 for Bearer env:TOKEN"


def test_a_missing_variable_is_named():
    with pytest.raises(ConfigError, match=r"^\[source\]: url: the environment variable DB is not set\.$"):
        Secrets({"DB": ""}).resolve("env:DB", "[source]: url")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:pw@host/db", True),
        ("postgresql://host/db?user=me&password=pw", True),
        ("https://host/rows?api_key=abc", True),
        ("host=db password=pw", True),
        ("postgresql://me@host/db", False),
        ("https://host/rows?page=1", False),
        ("https://host/rows?api_key={env:KEY}", False),
        ("env:DATABASE_URL", False),
    ],
)
def test_a_password_in_a_url_is_seen(text, expected):
    assert holds_password(text) is expected
