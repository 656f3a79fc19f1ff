"""Who guesses tokens ahead is an option: it changes no game, and mistakes are sentences."""

import dataclasses

import pytest

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.models.config import ModelConfig
from duomem_jax.records import chat
from duomem_jax.speak import Local, Sampling, open_speaker, speaker_identity
from duomem_jax.speak.open import load_speaker
from duomem_jax.speak.room import Room
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.world import Household

HOLD = Local(max_len=1024)


def with_draft(draft, **changes):
    return dataclasses.replace(HOLD, draft=draft, **changes)


@pytest.fixture(scope="module")
def games():
    return list(generate_games(4, 5))


@pytest.fixture(scope="module")
def plain(games):
    return {temperature: play("", games, temperature)[0] for temperature in (0.0, 1.0)}


def play(draft, games, temperature):
    """The tiny teacher's games, and what was guessed."""
    speaker = load_speaker("tiny-teacher", with_draft(draft))
    policy = ChatPolicy("player", speaker.conversations(4, Sampling(40, temperature)))
    played = play_games(Household(), games, policy, slots=4, max_steps=8)
    return {game.task.id: game.episode for game in played}, speaker.guesses


@pytest.mark.parametrize(
    ("draft", "temperature", "least"),
    [("lookup", 0.0, 0.05), ("lookup", 1.0, 0.05), ("tiny-student", 0.0, 0.5)],
)
def test_games_are_played_alike(games, plain, draft, temperature, least):
    played, guesses = play(draft, games, temperature)
    assert played == plain[temperature]
    assert sum(len(episode.turns) for episode in played.values()) > 20
    assert least < guesses.share < 1


def test_the_share_is_told_at_the_end(tmp_path, caplog):
    caplog.set_level("INFO")
    with open_speaker("tiny-student", with_draft("lookup"), record=tmp_path / "x") as speaker:
        list(speaker.reply([[chat.user("look look look")]], Sampling(12)))
        assert speaker.guesses.made
    assert f"{speaker.name}: {speaker.guesses}" in caplog.text


def test_who_guesses_is_no_part_of_who_answers():
    alone = speaker_identity("tiny-teacher", HOLD)
    assert speaker_identity("tiny-teacher", with_draft("tiny-student", draft_tokens=9)) == alone


@pytest.mark.parametrize(
    ("local", "says"),
    [
        (with_draft("base"), "without an adapter the model would guess for itself"),
        (with_draft("nowhere"), "nowhere: no such folder"),
        (with_draft("tiny-listener"), "its tokenizer is not that of tiny-teacher"),
    ],
)
def test_mistakes_are_sentences(local, says):
    with pytest.raises(UserError, match=says):
        load_speaker("tiny-teacher", local)


def test_a_served_model_has_none_here():
    with pytest.raises(UserError, match="openai:p: draft is for models that run here"):
        speaker_identity("openai:p", Local(draft="lookup"))


def test_a_second_model_takes_room():
    shape = ModelConfig("qwen3", 100, 64, 2, 4, 2, 32, 128, max_len=1024)
    alone = Room("model", shape, 1024, free=2**26)
    beside = dataclasses.replace(alone, second=shape)
    assert beside.most(3) == 2 * alone.most(3)
    assert beside.slots(usual=64) < alone.slots(usual=64)
