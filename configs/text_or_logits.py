"""Text or logits, from few episodes: a teacher of the same model that knows where things lie.

    duomem compare configs/alfworld_tiny.py
    duomem export runs/tiny-merged --merged --adapter runs/alfworld-tiny/adapters/lora/seed0/adapter
    duomem compare configs/text_or_logits.py

The teacher is the tiny student with an adapter of all training games. Students learn from 12 to
120 episodes of its play: as text, as its sixteen likeliest candidates, as its distributions (alone,
with text, or with text where both disagree), or they go on from the adapter of text and play the
same games themselves. Games as in configs/alfworld_tiny.py; the result is in docs/results.md.
"""

import dataclasses

from duomem_jax.agents.play import Play
from duomem_jax.experiments.curve import LearningCurve
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.tiny import tiny_experiment, tiny_training
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.stages.label import Label
from duomem_jax.train.config import OnPolicyConfig

FORWARD = ObjectiveConfig("forward_kl")
RECIPES = (
    Recipe("text"),
    Recipe("top-16", FORWARD, Label(k=16)),
    Recipe("forward KL", FORWARD),
    Recipe("forward KL, half text", ObjectiveConfig("forward_kl", ce_weight=0.5)),
    Recipe("forward KL, gated text", ObjectiveConfig("forward_kl", ce_weight=0.5, gate=0.5)),
    # As long as the next one, on the same rows all the time.
    Recipe("text, twice as long", start="text"),
    Recipe(
        "on-policy after text",
        ObjectiveConfig("reverse_kl"),
        start="text",
        on_policy=OnPolicyConfig(play=Play(slots=4)),
    ),
)


def get_experiment() -> LearningCurve:
    """12, 24, 60 and 120 games; three draws, each with a training seed of its own."""
    whole = tiny_experiment(
        title="Text or logits from few episodes: ALFWorld valid_seen",
        output="runs/text-or-logits",
    )
    few = dataclasses.replace(
        whole,
        teacher="runs/tiny-merged",
        train=tiny_training(steps=200),
        recipes=RECIPES,
        workers=2,
    )
    return LearningCurve(few, per_kind=(2, 4, 10, 20))
