"""Stored made-up episodes."""

import pytest
from made_up import make_episode, store


@pytest.fixture(scope="session")
def episodes_folder(tmp_path_factory):
    episodes = [make_episode(i, success=i % 4 != 3) for i in range(20)]
    return store(tmp_path_factory.mktemp("episodes"), episodes)
