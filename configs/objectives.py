"""Text against logits: every objective at one budget, on real ALFWorld games.

    duomem compare configs/objectives.py

The games come from `$ALFWORLD_DATA/json_2.1.1` (`alfworld-download` puts them there) or from the
folder that DUOMEM_REAL_GAMES names. Each recipe trains five adapters on the same rows in the same
number of steps. About two and a half hours of two cores; the result is in docs/results.md.
"""

import dataclasses

from duomem_jax.agents.play import Play
from duomem_jax.experiments.alfworld import real_games
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.stages.examples import Examples
from duomem_jax.stages.label import Label
from duomem_jax.train.config import OnPolicyConfig
from duomem_jax.worlds.games import Games

RECIPES = (
    Recipe("text"),
    Recipe("forward KL", ObjectiveConfig("forward_kl")),
    Recipe("reverse KL", ObjectiveConfig("reverse_kl")),
    Recipe("JSD", ObjectiveConfig("jsd")),
    Recipe("skew forward KL", ObjectiveConfig("skew_forward_kl")),
    Recipe("skew reverse KL", ObjectiveConfig("skew_reverse_kl")),
    Recipe("forward KL, half text", ObjectiveConfig("forward_kl", ce_weight=0.5)),
    Recipe("top-16", ObjectiveConfig("forward_kl"), Label(k=16)),
    Recipe("16 samples", ObjectiveConfig("forward_kl"), Label("samples", k=16)),
    Recipe("teacher with memories", ObjectiveConfig("forward_kl"), memories="always"),
    Recipe("teacher without memories", ObjectiveConfig("forward_kl"), memories="never"),
    Recipe(
        "on-policy",
        ObjectiveConfig("reverse_kl"),
        on_policy=OnPolicyConfig(play=Play(slots=4), curriculum="forward", growth=4, guidance=0.9),
    ),
)


def get_experiment() -> Experiment:
    """Tiny teacher, tiny student, five training seeds."""
    games = real_games()
    return Experiment(
        title="Text against logits: ALFWorld valid_seen",
        output="runs/objectives",
        teacher=str(model_folder("tiny-teacher")),
        student=str(model_folder("tiny-student")),
        train_games=Games(games, "train", limit=600),
        self_games=Games(games, "train", limit=140),
        test_games=Games(games, "valid_seen"),
        # Adapters train side by side, one device each.
        train=dataclasses.replace(tiny_training(steps=200), mesh=MeshConfig(data=1)),
        recipes=RECIPES,
        seeds=(0, 1, 2, 3, 4),
        play=Play(slots=32, max_steps=50),
        examples=Examples(length=1024, k=2),
        workers=2,
    )
