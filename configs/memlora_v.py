"""MemLoRA-V: an expert that looks at pictures, beside one that reads their captions.

    python -m duomem_jax.tiny.seer runs/seer/tiny --words
    python -m duomem_jax.tiny.seer runs/seer/small --decoder smollm2 --tower runs/seer/tiny/model
    duomem compare configs/memlora_v.py

SmolLM2-135M-Instruct with a small tower that learnt from rendered pictures; DUOMEM_MODEL names
another model that sees. Generated dialogues of people who share pictures, and are asked what these
show; not run yet.
"""

import dataclasses
import os

from duomem_jax.experiments.memories.experiment import (
    GOLD,
    GOLD_ANSWERED,
    GOLD_LOOKED,
    GOLD_LOOKS,
    TURNS_ANSWERED,
    TURNS_LOOKED,
    MemoryExperiment,
)
from duomem_jax.experiments.memories.folds import Generated
from duomem_jax.models.lora import LoraConfig
from duomem_jax.speak.open import Local
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.dialogues import Size


def get_experiment() -> MemoryExperiment:
    """Three training seeds; four pictures a dialogue."""
    look = TrainConfig(
        base="",
        data="",
        output="",
        lora=LoraConfig(rank=8, alpha=16.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=10),
        steps=150,
        global_batch=4,
        checkpoint_every=50,
    )
    return MemoryExperiment(
        title="MemLoRA-V in miniature: what pictures show",
        output="runs/memlora-v",
        model=os.environ.get("DUOMEM_MODEL", "runs/seer/small/model"),
        dialogues=Generated(learnt=400, asked=40, size=Size(sessions=4, questions=8), pictures=4),
        # Not learnt: no row below has an expert of these.
        extract=look,
        update=look,
        answer=dataclasses.replace(look, steps=100),
        look=look,
        local=Local(tiles="one"),
        seeds=(0, 1, 2),
        rows=(GOLD, GOLD_ANSWERED, GOLD_LOOKS, GOLD_LOOKED, TURNS_ANSWERED, TURNS_LOOKED),
    )
