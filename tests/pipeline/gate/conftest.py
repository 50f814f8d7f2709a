import pytest

from tests.helpers.quarters import read_quarters


@pytest.fixture(scope="session")
def quarters(tmp_path_factory):
    """Rows of each quarter of the taxi trips, by span."""
    return read_quarters(tmp_path_factory.mktemp("taxi"))
