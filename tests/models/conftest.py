"""A random model of every family, shared by the parity tests."""

import pytest
from families import PARAMS, make_model


@pytest.fixture(scope="session", params=PARAMS)
def hf_folder(request, tmp_path_factory):
    """(folder, the torch model in it)."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp(request.param)
    return folder, make_model(request.param, folder, std=0.2)
