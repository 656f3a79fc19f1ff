"""Generated games and a tokenizer of the household world."""

import pytest

from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.tokenizer import save_tokenizer, vocabulary
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.generate import generate_games


@pytest.fixture(scope="session")
def games():
    return list(generate_games(7, 5))


@pytest.fixture(scope="session")
def tokenizer(games, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [FastEngine(game).reset() for game in games] + ["Go to. Take. shelf you see a"]
    save_tokenizer(folder, vocabulary(texts, min_count=1), max_length=1024)
    return load_tokenizer(folder)
