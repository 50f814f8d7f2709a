import pytest


@pytest.fixture(scope="session")
def flights_root(tmp_path_factory):
    """A data root for the flights, so that they are cut once."""
    return tmp_path_factory.mktemp("flights")
