"""Dialogues of both sides of the split."""

import pytest

from duomem_jax.worlds.dialogues.generate.dialogue import generate_story

COUNT = 100  # of each side
SEED = 3


@pytest.fixture(scope="session")
def stories():
    return [generate_story(SEED, i, held_out=side) for side in (False, True) for i in range(COUNT)]


@pytest.fixture(scope="session")
def dialogues(stories):
    return [story.dialogue for story in stories]
