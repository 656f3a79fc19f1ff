"""What is trained remembers how it has to be played."""

import itertools

import numpy as np
import pytest

from duomem_jax import stages
from duomem_jax.agents.manner import Trained
from duomem_jax.agents.play import Play, Talk
from duomem_jax.agents.player import Player
from duomem_jax.data.facts import longest_reply
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.train.output import describe
from duomem_jax.train.plan import plan
from duomem_jax.train.run import run
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.world import Household

STUDENT = str(model_folder("tiny-student"))


def config(data, output, **changes):
    common = {"steps": 1, "global_batch": 1, "mesh": MeshConfig(data=1), "log_every": 1}
    return TrainConfig(STUDENT, str(data), str(output), **common | changes)


@pytest.fixture(scope="module")
def told(played, tmp_path_factory):
    """Rows with a system message, in which some episodes show one memory."""
    out = tmp_path_factory.mktemp("told") / "rows"
    how = Examples(length=512, system="Win the game.", k=1, memory_share=0.5)
    episodes, memories = str(played / "episodes"), str(played / "memories")
    stages.examples(str(out), STUDENT, episodes, memory=memories, how=how)
    return out


def test_the_longest_reply_is_the_longest_run_of_its_mask(told):
    runs = [
        sum(1 for _ in run)
        for row in read_dataset(told, "train")
        for replied, run in itertools.groupby(row["loss_mask"].tolist())
        if replied
    ]
    assert longest_reply(told) == max(runs) > 8


def test_a_run_remembers_what_its_rows_showed(told, tmp_path):
    facts = describe(plan(config(told, tmp_path / "out")))
    assert facts["play"] == {"system": "Win the game.", "k": 1, "max_new": 64}


def test_rows_without_memories_say_nothing_of_their_number(played, tmp_path):
    facts = describe(plan(config(played / "rows", tmp_path / "out")))
    assert facts["play"] == {"system": "", "k": None, "max_new": 64}


def test_replies_longer_than_usual_are_remembered(told, tmp_path, monkeypatch):
    monkeypatch.setattr("duomem_jax.train.output.longest_reply", lambda folder: 96)
    facts = describe(plan(config(told, tmp_path / "out")))
    # One more than the reply at least, as its last place is for the end.
    assert facts["play"]["max_new"] == 128


def test_a_student_that_played_remembers_how(played, tmp_path):
    own = OnPolicyConfig(
        Games(str(played / "games")), Play(slots=2), Talk("@play", max_new=40, temperature=1.0)
    )
    teacher = {"teacher": STUDENT, "objective": ObjectiveConfig("reverse_kl")}
    facts = describe(plan(config("", tmp_path / "out", on_policy=own, **teacher)))
    assert facts["play"] == {"system": Household().prompt, "k": None, "max_new": 40}


@pytest.mark.parametrize(("trainable", "result"), [("lora", "adapter"), ("all", "model")])
def test_adapters_and_models_are_played_as_they_were_trained(told, tmp_path, trainable, result):
    folder = run(config(told, tmp_path / "out", trainable=trainable))
    assert folder.name == result
    assert Trained.read(str(folder)) == Trained("Win the game.", 1, 64)
    whole = folder
    if trainable == "lora":
        whole = tmp_path / "merged"
        stages.export(str(whole), str(folder), merged=True)
    how = Player("p", str(whole)).manner(Household())
    assert (how.system, how.k, how.max_new) == ("Win the game.", 1, 64)


def test_masks_at_the_ends_of_a_row_count(monkeypatch):
    rows = [{"loss_mask": np.array(mask)} for mask in ([1, 1, 1, 0, 1], [0, 1, 1, 1, 1], [0] * 5)]
    monkeypatch.setattr("duomem_jax.data.facts.read_dataset", lambda *_: rows)
    assert longest_reply("x") == 4
