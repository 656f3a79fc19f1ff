"""An experiment that is over in seconds."""

import dataclasses

import pytest

from duomem_jax.agents.play import Play
from duomem_jax.experiments.quickstart import quickstart_experiment
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.stages import generate
from duomem_jax.worlds.games import Games


@pytest.fixture(scope="session")
def small_experiment():
    """Makes one in a folder: its games, by number and seed, and how long they are."""

    def make(root, *, train, test, recipes, max_steps):
        for name, (count, seed) in (("train", train), ("test", test)):
            generate(str(root / name), count=count, seed=seed)
        whole = quickstart_experiment(str(root / "out"))
        return dataclasses.replace(
            whole,
            teacher="expert",
            train_games=Games(str(root / "train")),
            test_games=Games(str(root / "test")),
            train=dataclasses.replace(
                whole.train, steps=2, global_batch=1, mesh=MeshConfig(data=1)
            ),
            play=Play(slots=6, max_steps=max_steps),
            max_new=4,  # a student that has hardly learnt says nothing that its game understands
            recipes=recipes,
            seeds=(0,),
            left_out="",
        )

    return make
