"""LoCoMo, each conversation asked about by experts that learnt from the others.

    duomem compare configs/locomo.py

SmolLM2-135M-Instruct on one accelerator. The file is the one that DUOMEM_LOCOMO names, or
`locomo10.json` here; DUOMEM_MODEL names another model. Conversations 30 and 41 are kept for a last,
blind test. The fold of conversation 26 is the split of MemLoRA (arXiv 2512.04763) without them.
"""

import dataclasses
import os

from duomem_jax.experiments.memories.experiment import READERS, MemoryExperiment
from duomem_jax.experiments.memories.folds import Conversations, Generated
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
        steps=96,
        global_batch=16,
        dtype="bfloat16",
        checkpoint_every=24,
    )
    return MemoryExperiment(
        title="MemLoRA: LoCoMo, leave one conversation out",
        output="runs/locomo",
        model=os.environ.get("DUOMEM_MODEL", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        dialogues=Conversations(
            os.environ.get("DUOMEM_LOCOMO", "locomo10.json"),
            omit=("conv-30", "conv-41"),
            generated=Generated(learnt=600),
        ),
        extract=dataclasses.replace(answer, steps=64),
        update=dataclasses.replace(answer, lora=LoraConfig(rank=16, alpha=32.0), steps=400),
        answer=answer,
        teaching=Teaching(embedder="minilm", words=280, added=0.4),
        patience=1,
        # The conversations are longer than what the model reads.
        rows=tuple(row for row in READERS if row != "whole conversation"),
    )
