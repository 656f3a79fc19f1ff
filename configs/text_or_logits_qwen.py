"""Text or logits from few episodes, across tokenizers: Qwen2.5-Coder-0.5B teaches SmolLM2-135M.

    duomem compare configs/alfworld_qwen.py
    duomem export runs/qwen-merged --merged --adapter runs/alfworld-qwen/adapters/lora/seed0/adapter
    duomem compare configs/text_or_logits_qwen.py

The teacher has learnt all training games. Its tokens are aligned with the student's by the bytes
that they spell (docs/objectives.md); it reads no memories, and the student some. Otherwise as
configs/alfworld_episodes.py; for an accelerator, and not run yet.
"""

import dataclasses

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.curve import LearningCurve
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.objectives.config import ObjectiveConfig

RECIPES = (
    Recipe("text"),
    Recipe("ALM", ObjectiveConfig("alm", temperature=10.0), memories="never"),
    Recipe("ALM, half text", ObjectiveConfig("alm", 10.0, ce_weight=0.5), memories="never"),
)


def get_experiment() -> LearningCurve:
    """12, 24, 60 and 120 games; three draws, each with a training seed of its own."""
    whole = alfworld_experiment(
        title="Text or logits across tokenizers, SmolLM2-135M: ALFWorld valid_seen",
        output="runs/text-or-logits-qwen",
        student="smollm2",
        train=alfworld_training(steps=340, global_batch=4),
    )
    few = dataclasses.replace(whole, teacher="runs/qwen-merged", recipes=RECIPES)
    return LearningCurve(few, per_kind=(2, 4, 10, 20))
