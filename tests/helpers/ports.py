"""Ports for the servers that tests start: no two of one test process are the same."""

from pipeline.predict import servability

_GIVEN: set[int] = set()


def free_port() -> int:
    while (port := servability.free_port()) in _GIVEN:
        pass
    _GIVEN.add(port)
    return port
