"""A random model of every kind that sees, shared by the tests of parity and of loading."""

import pytest
from seeing import MODELS, make_seeing

# It differs from SmolVLM's by what the decoder's own tests have: it runs with -m slow.
SLOW = "idefics3-tied"
PARAMS = [pytest.param(name, marks=pytest.mark.slow if name == SLOW else ()) for name in MODELS]


@pytest.fixture(scope="session", params=PARAMS)
def seeing(request, tmp_path_factory):
    """A `Reference`."""
    pytest.importorskip("torch")
    return make_seeing(request.param, tmp_path_factory.mktemp(request.param))
