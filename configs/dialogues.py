"""Generated dialogues, with experts of a real model.

    duomem compare configs/dialogues.py

SmolLM2-135M-Instruct on one accelerator; DUOMEM_MODEL names another model. The dialogues that are
asked about have names, values and phrasings that no expert has seen.
"""

import dataclasses
import os

from duomem_jax.experiments.memories.experiment import READERS, MemoryExperiment
from duomem_jax.experiments.memories.folds import Generated
from duomem_jax.memory.teach import Teaching
from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_experiment() -> MemoryExperiment:
    """16 rows of 1,024 tokens a step."""
    answer = TrainConfig(
        base="",
        data="",
        output="",
        lora=LoraConfig(rank=8, alpha=16.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=10),
        steps=80,
        global_batch=16,
        dtype="bfloat16",
        checkpoint_every=100,
    )
    return MemoryExperiment(
        title="MemLoRA: generated dialogues",
        output="runs/dialogues",
        model=os.environ.get("DUOMEM_MODEL", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        dialogues=Generated(learnt=600, asked=6),
        extract=dataclasses.replace(answer, steps=200),
        update=dataclasses.replace(answer, lora=LoraConfig(rank=16, alpha=32.0), steps=400),
        answer=answer,
        # With all facts that are merely added, they would be two thirds of what is shown.
        teaching=Teaching(embedder="minilm", added=0.4),
        # Read again for each question, the whole conversation would take longer than all the rest.
        rows=tuple(row for row in READERS if row != "whole conversation"),
    )
