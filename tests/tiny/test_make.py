"""`python -m duomem_jax.tiny` from nothing to a folder that plays, with a corpus of few games."""

from pathlib import Path

import pytest

from duomem_jax.agents.play import Talk
from duomem_jax.agents.player import Player, open_policy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.names import EXTRACT
from duomem_jax.memory.teach import Demonstrator, Teaching
from duomem_jax.speak import Sampling
from duomem_jax.speak.open import open_speaker
from duomem_jax.tiny import __main__ as command
from duomem_jax.tiny import rows, ship
from duomem_jax.tiny.listener import rows as listener_rows
from duomem_jax.tiny.listener import start as listener_start
from duomem_jax.worlds.dialogues import generate_dialogue
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.world import Household

CONFIG = """
import dataclasses
from duomem_jax.tiny.start import pretraining
def get_config():
    return dataclasses.replace(pretraining("student", steps=2), global_batch=8)
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository with the student's config alone, a corpus of 40 games, a package to fill."""
    monkeypatch.setattr(rows, "GAMES", {"student": 40})
    monkeypatch.setattr(rows, "BLOCK", 40)
    monkeypatch.setattr(ship, "model_folder", lambda name: tmp_path / "package" / name)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/tiny_student.py").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_make_writes_a_model_that_plays(small, monkeypatch, capsys):
    folder = command.make("student")
    card = (folder / "README.md").read_text()
    assert "730,496 parameters" in card
    assert "2 steps of 8 rows" in card
    player, world = Player("student", str(folder), talk=Talk(max_new=8)), Household()
    with open_policy(player, world, slots=2, record=folder) as policy:
        (played,) = play_games(world, generate_games(1, 1), policy, slots=2, max_steps=2)
    assert len(played.episode.turns) == 2

    weights = (folder / "model.safetensors").read_bytes()
    assert (command.make("student") / "model.safetensors").read_bytes() == weights
    assert "start: already there, reused" in capsys.readouterr().out

    monkeypatch.setattr(rows, "GAMES", {"student": 80})
    with pytest.raises(UserError, match="games"):
        command.make("student")


LISTENER = """
import dataclasses
from duomem_jax.tiny.start import pretraining
def get_config():
    return dataclasses.replace(pretraining("listener", steps=2), global_batch=8)
"""


@pytest.mark.slow
def test_make_writes_a_listener_that_takes_experts(small, monkeypatch, tmp_path):
    monkeypatch.setattr(listener_rows, "DIALOGUES", 2)
    monkeypatch.setattr(listener_start, "READ", 60)
    Path("configs/tiny_listener.py").write_text(LISTENER)
    folder = command.make("listener")
    card = (folder / "README.md").read_text()
    assert "held-out dialogue" in card
    assert "2 steps of 8 rows" in card
    assert (folder / "model.safetensors").stat().st_size < 6e6
    dialogue = generate_dialogue(0, 0)
    shown = next(Demonstrator(EXTRACT, Teaching())([dialogue], tmp_path)).demonstrations[:1]
    with open_speaker(str(folder), record=tmp_path / "record") as speaker:
        (reply,) = speaker.reply([shown[0].messages[:1]], Sampling(8))
    assert reply.new_tokens == 8


def test_make_outside_the_repository_names_the_missing_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"configs/tiny_teacher.py"):
        command.make("teacher")
