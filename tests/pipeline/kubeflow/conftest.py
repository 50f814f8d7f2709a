"""The compiled taxi pipeline, once per target; tests change copies."""

import copy

import pytest

from tests.pipeline.kubeflow import golden


@pytest.fixture(scope="session")
def vertex_package():
    return golden.compiled("vertex")


@pytest.fixture(scope="session")
def kubeflow_package():
    return golden.compiled("kubeflow", span=5)


@pytest.fixture
def vertex(vertex_package):
    return copy.deepcopy(vertex_package)


@pytest.fixture
def kubeflow(kubeflow_package):
    return copy.deepcopy(kubeflow_package)
