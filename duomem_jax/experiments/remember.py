"""MemLoRA in miniature: one command from generated dialogues to a table of assistants."""

import dataclasses
import os
import time

from duomem_jax.evals.dialogues.describe import QUESTIONS
from duomem_jax.experiments.memories.experiment import READERS, MemoryExperiment
from duomem_jax.experiments.memories.folds import Generated
from duomem_jax.experiments.memories.run import run_memories
from duomem_jax.experiments.program import ending
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.memory.teach import Teaching
from duomem_jax.models.platform import platform
from duomem_jax.models.shipped import model_folder
from duomem_jax.stages.options import Folder
from duomem_jax.train.config import TrainConfig

NEXT = """\
What to run next, in the folder that you are in:
- train an expert of one operation with other values:
  {duomem} train --config configs/remember.py --data {out}/experts/extract/generated/rows \\
      --output {out}/my-expert --lora.rank 8
- remember something of your own with the three experts:
  {duomem} memory add {out}/mine.sqlite "I moved to Lisbon last Friday." --speaker Ana \\
      --model tiny-listener --extract {out}/experts/extract/generated/seed0/adapter \\
      --update {out}/experts/update/generated/seed0/adapter \\
      --answer {out}/experts/answer/generated/seed0/adapter
- what people talk about there: docs/dialogues.md
"""


def remember_experiment(out: str) -> MemoryExperiment:
    """Sizes that fit a quarter of an hour on two cores."""
    train = remember_training(out)
    return MemoryExperiment(
        title="MemLoRA in miniature: generated dialogues",
        output=out,
        model=str(model_folder("tiny-listener")),
        dialogues=Generated(learnt=200, asked=12, seed=1),
        extract=train,
        update=train,
        answer=train,
        # As many words as fit the page of the test.
        teaching=Teaching(words=200),
        # Read again for each question, the whole conversation would take longer than all the rest.
        rows=tuple(row for row in READERS if row != "whole conversation"),
        workers=_workers(),
    )


def remember_training(out: str) -> TrainConfig:
    """The expert of extraction; those of the others differ in their rows alone."""
    folder = f"{out}/experts/extract/generated"
    return dataclasses.replace(
        tiny_training(steps=250, warmup_steps=10),
        base=str(model_folder("tiny-listener")),
        # For `configs/remember.py`, which trains on its own; an experiment fills these fields in.
        data=f"{folder}/rows",
        output=f"{folder}/seed0",
    )


def _workers() -> int:
    """Processes side by side: a small model makes poor use of a second core."""
    if platform() != "cpu":
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 2)


def remember(out: Folder = "runs/remember", /) -> str:
    """MemLoRA in miniature on generated dialogues: a quarter of an hour on two cores.

    Args:
        out: folder for everything it makes; what is there already is reused.

    Returns:
        The report, and what to run next.

    Raises:
        UserError: the output folder is of another version, or the disk is full.
    """
    start = time.monotonic()
    report = run_memories(remember_experiment(out))
    return ending(report, f"{QUESTIONS.headline}.png", time.monotonic() - start, NEXT)
