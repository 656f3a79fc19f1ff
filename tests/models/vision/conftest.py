"""A random model of every kind that sees, shared by the tests of parity and of loading."""

import pytest
from seeing import MODELS, make_seeing


@pytest.fixture(scope="session", params=MODELS)
def seeing(request, tmp_path_factory):
    """A `Reference`."""
    pytest.importorskip("torch")
    return make_seeing(request.param, tmp_path_factory.mktemp(request.param))
