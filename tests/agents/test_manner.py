"""A player is told and shown what it was trained with, unless the user wants otherwise."""

import dataclasses
import json

import pytest

from duomem_jax import stages
from duomem_jax.agents.manner import Trained
from duomem_jax.agents.play import Play, Recall, Talk
from duomem_jax.agents.player import Player, identity
from duomem_jax.agents.silence import Silence
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import NO_SYSTEM, PLAY
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.episodes import Episode, Turn
from duomem_jax.records.played import read_episodes
from duomem_jax.speak.open import Local
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.world import Household

WORLD = Household()
STUDENT = Player("student", "tiny-student")


@pytest.fixture
def trained(tmp_path):
    """The folder of an adapter that was trained in a way of its own."""

    def make(**play):
        notes = {"base_fingerprint": "x", "play": play}
        (tmp_path / "duomem.json").write_text(json.dumps(notes))
        return str(tmp_path)

    return make


@pytest.fixture
def copied(tmp_path):
    """A model in a folder of its own, of which nobody knows what it was trained for."""
    for file in model_folder("tiny-student").iterdir():
        (tmp_path / file.name).symlink_to(file)
    return str(tmp_path)


def manner(player, **changes):
    return dataclasses.replace(player, **changes).manner(WORLD)


def test_an_adapter_is_played_as_it_was_trained(trained):
    player = dataclasses.replace(
        STUDENT, local=Local(adapter=trained(system="Win.", k=3, max_new=96))
    )
    how = manner(player)
    assert (how.system, how.k, how.max_new, how.unlike) == ("Win.", 3, 96, ())


def test_what_the_user_wants_goes_first_and_is_told(trained, caplog):
    caplog.set_level("INFO")
    adapter = Local(adapter=trained(system="Win.", k=3, max_new=96))
    how = manner(
        STUDENT, local=adapter, talk=Talk(NO_SYSTEM, max_new=32), recall=Recall("bank", k=1)
    )
    assert (how.system, how.k, how.max_new) == ("", 1, 32)
    how.tell("student")
    assert caplog.messages == [
        "student: plays with another system message than it was trained with, "
        "k 1, trained with 3, max_new 32, trained with 96"
    ]
    # Longer replies, or memories that it never saw, are no difference.
    assert not manner(STUDENT, local=adapter, talk=Talk(max_new=128)).unlike
    assert not manner(STUDENT, local=adapter, recall=Recall(k=1)).unlike


def test_a_text_with_an_at_sign_is_not_taken_for_a_file(trained):
    player = dataclasses.replace(STUDENT, local=Local(adapter=trained(system="@home, win.")))
    assert manner(player).system == "@home, win."


@pytest.mark.parametrize("model", ["tiny-student", str(model_folder("tiny-teacher"))])
def test_shipped_models_play_as_ever(model):
    how = manner(STUDENT, model=model)
    assert (how.system, how.k, how.max_new) == ("", 2, 64)


def test_a_model_that_was_not_trained_here_is_told_the_rules(copied):
    assert manner(STUDENT, model=copied).system == WORLD.prompt
    assert manner(STUDENT, model=copied, talk=Talk(NO_SYSTEM)).system == ""
    told = dataclasses.replace(STUDENT, model=copied, talk=Talk(PLAY))
    own = identity(dataclasses.replace(STUDENT, model=copied), WORLD)
    assert own == identity(told, WORLD)


def test_a_served_model_is_told_the_rules():
    assert manner(STUDENT, model="openai:any").system == WORLD.prompt


def test_a_model_all_of_whose_weights_were_trained_remembers_too(copied, trained):
    trained(system="", k=None)  # in the same folder
    how = manner(STUDENT, model=copied)
    assert (how.system, how.k) == ("", 2)


def test_notes_of_an_older_version_count_as_trained(tmp_path):
    (tmp_path / "duomem.json").write_text('{"base_fingerprint": "x"}')
    assert Trained.read(str(tmp_path)) == Trained()


@pytest.mark.parametrize("play", [{"k": "2"}, {"words": 1}, {"system": None}, {"max_new": True}])
def test_damaged_notes_are_refused(trained, play):
    folder = trained(**play)
    with pytest.raises(UserError, match=r"duomem\.json: field play: "):
        Trained.read(folder)


def test_what_is_left_open_and_what_is_usual_are_one_player(trained):
    asked = dataclasses.replace(STUDENT, talk=Talk(NO_SYSTEM, max_new=64), recall=Recall(k=2))
    assert identity(asked, WORLD) == identity(STUDENT, WORLD)
    other = Local(adapter="", dtype="bfloat16")
    assert identity(dataclasses.replace(STUDENT, local=other), WORLD) != identity(STUDENT, WORLD)


def episode(*actions):
    turns = tuple(Turn("You see a room.", "Hm.", action) for action in actions)
    return Episode("g", "t", "k", turns, "", 0.0, "p", 0, "w", "1")


def test_a_player_without_actions_is_told_of(caplog):
    silence = Silence("student")
    silence.add(episode("", "look", ""))
    silence.add(episode())
    silence.tell()
    assert not caplog.messages
    silence.add(episode("", "", ""))
    silence.tell()
    (line,) = caplog.messages
    assert line.startswith("student: in 1 of 3 games none of 3 replies held an action; ")


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_a_quantised_model_plays_a_game(played, tmp_path, quantize, caplog):
    caplog.set_level("INFO")
    player = dataclasses.replace(STUDENT, local=Local(quantize=quantize))
    games = Games(str(played / "games"), limit=1)
    stages.play(str(tmp_path / "episodes"), games, player, Play(max_steps=3))
    (game,) = read_episodes(tmp_path / "episodes")
    assert len(game.turns) == 3
    assert all(turn.action for turn in game.turns)
    assert "conversations of up to 2,048 tokens: the cache starts at" in caplog.text
