"""Guided play: who speaks, what the transcript holds, and how it reads with memories before it."""

import jax
import numpy as np
import pytest

from duomem_jax.agents.guided import Author, Guidance, Players, play_guided
from duomem_jax.decode.generator import Generator
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import episode_messages
from duomem_jax.worlds.base import Move
from duomem_jax.worlds.household.world import Household

HOUSEHOLD = Household()
HOW = {"slots": 2, "max_steps": 3, "seed": 5}


@pytest.fixture(scope="module")
def make_generator(tokenizer):
    model = Model(ModelConfig("qwen3", len(tokenizer), 16, 1, 2, 1, 8, 24, max_len=512))

    def make(seed):
        rng = np.random.default_rng(seed)
        shapes = model.shapes()["params"]
        base = jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), shapes)
        end = chat_tokens(tokenizer).end_id
        return Generator(model, base, slots=2, max_len=512, eos_id=end, max_new=8, temperature=1.0)

    return make


@pytest.fixture(scope="module")
def players(tokenizer, make_generator):
    return Players(tokenizer, make_generator(0), make_generator(1), system="Play well.")


def test_replayed_games_read_as_training_shows_them(games, tokenizer, players):
    """The system message included; nobody here has written any of it."""
    records = {game.id: [Move("Hm.", action) for action in game.walkthrough] for game in games[:3]}
    rollouts = play_guided(
        players, HOUSEHOLD, games[:3], Guidance(records=records), **HOW | {"max_steps": 50}
    )
    for rollout in rollouts:
        assert rollout.episode.success
        messages = episode_messages(rollout.episode, system="Play well.")
        assert rollout.transcript.tokens == chat_tokens(tokenizer).since(messages)
        assert set(rollout.transcript.authors) == {Author.WORLD}


def test_a_transcript_with_guidelines_differs_in_its_prompt_alone(games, tokenizer, players):
    chat = chat_tokens(tokenizer)
    for rollout in play_guided(players, HOUSEHOLD, games[:3], Guidance(), **HOW):
        read, told = rollout.transcript, rollout.transcript.with_guidelines("Go there.", tokenizer)
        messages = episode_messages(rollout.episode, system="Play well.", guidelines="Go there.")
        assert told.prompt == messages[:2]
        first = chat.since(messages[:2])
        assert told.tokens[: len(first)] == first
        rest = len(read.tokens) - len(chat.since(read.prompt))
        assert told.tokens[len(first) :] == read.tokens[-rest:]
        assert told.authors == [Author.WORLD] * len(first) + read.authors[-rest:]
        assert read.with_guidelines("", tokenizer) == read


@pytest.mark.parametrize(
    ("share", "authors"), [(0.0, {Author.STUDENT}), (1.0, {Author.TEACHER}), (0.5, set(Author))]
)
def test_the_share_decides_who_speaks(games, players, share, authors):
    rollouts = play_guided(players, HOUSEHOLD, games, Guidance(share), **HOW)
    assert len(rollouts) == len(games)
    wrote = {author for r in rollouts for author in r.transcript.authors}
    assert wrote == authors | {Author.WORLD}


def test_depth_counts_turns_that_are_spoken(games, players):
    record = {games[0].id: [Move("Hm.", "look")]}
    rollouts = play_guided(players, HOUSEHOLD, games[:2], Guidance(depth=2, records=record), **HOW)
    turns = {r.episode.game_id: len(r.episode.turns) for r in rollouts}
    assert turns == {games[0].id: 3, games[1].id: 2}


def test_a_second_call_plays_the_same_games(games, players):
    first = play_guided(players, HOUSEHOLD, games[:3], Guidance(0.5), **HOW)
    assert play_guided(players, HOUSEHOLD, games[:3], Guidance(0.5), **HOW) == first
