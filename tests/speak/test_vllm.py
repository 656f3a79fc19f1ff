"""A real vLLM, where there is one: it scores and plays as the same model does here.

    vllm serve duomem_jax/models/shipped/tiny-teacher --served-model-name tiny-teacher \
        --dtype float32 --port 8000
    DUOMEM_VLLM=http://localhost:8000/v1 python -m pytest -m slow tests/speak/test_vllm.py
"""

import dataclasses
import os

import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.play import Talk
from duomem_jax.agents.player import Player, open_policy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.scores import EMPTY, score_request
from duomem_jax.speak.served.server import Server
from duomem_jax.speak.served.speaker import ServedConversations
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.text.turns import episode_messages
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.world import Household

pytestmark = pytest.mark.slow

NAME, K = "tiny-teacher", 20
FOLDER = str(model_folder(NAME))


@pytest.fixture
def model(tmp_path):
    url = os.environ.get("DUOMEM_VLLM", "")
    if not url:
        pytest.skip("no vLLM; serve the tiny teacher with one and set DUOMEM_VLLM to its address")
    with ServedModel(NAME, Server(url), tmp_path / "served") as model:
        yield model


def played(policy):
    games = play_games(Household(), generate_games(6, 8), policy, slots=6, max_steps=30)
    return [game.episode for game in games]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What the same model plays here, greedily."""
    record, player = (
        tmp_path_factory.mktemp("local") / "unused",
        Player(NAME, FOLDER, talk=Talk(max_new=64)),
    )
    with open_policy(player, Household(), slots=6, record=record) as policy:
        return played(policy)


def test_it_plays_move_by_move_like_the_same_model_here(model, local):
    policy = ChatPolicy(NAME, ServedConversations(model, Sampling(64)))
    there = played(policy)
    expected = {e.game_id: dataclasses.replace(e, player=NAME) for e in local}
    assert {e.game_id: e for e in there} == expected


def test_its_scores_are_those_of_the_same_model_here(model, local):
    tokenizer, (config, base) = load_tokenizer(FOLDER), load_pretrained(FOLDER, "float32")
    here = Model(config)
    chats = chat_tokens(tokenizer).conversations([episode_messages(e) for e in local])
    sequences = [chat.tokens for chat in chats]
    answers = model.ask(score_request(NAME, ids, K) for ids in sequences)
    for ids, scores in zip(sequences, answers, strict=True):
        row_1T, T = jnp.asarray([ids]), len(ids)
        x_1TD = here.hidden(base, row_1T, jnp.arange(T)[None], jnp.ones_like(row_1T))
        logits_TV = np.asarray(here.head(base)(x_1TD[0]), np.float64)[:-1]
        logprobs_TV = logits_TV - np.log(np.exp(logits_TV).sum(-1, keepdims=True))
        for row_V, token, found, values in zip(
            logprobs_TV, ids[1:], scores.ids, scores.logprobs, strict=True
        ):
            n = (found != EMPTY).sum()
            assert token in found[:n]
            assert set(found[:K]) == set(np.argsort(-row_V, kind="stable")[:K])
            np.testing.assert_allclose(values[:n], row_V[found[:n]], atol=1e-4)


def test_too_many_candidates_are_refused_in_a_sentence(model):
    with pytest.raises(UserError, match="max allowed"):
        list(model.ask([score_request(NAME, [5, 6, 7], 999)]))


def test_a_sequence_that_is_too_long_has_no_scores(model):
    assert list(model.ask([score_request(NAME, [5] * 99_999, 2)])) == [None]
