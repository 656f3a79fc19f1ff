"""MemLoRA-V in miniature: an expert that looks at pictures, beside one that reads their captions.

    duomem compare configs/memlora_v.py

The tiny model that sees, and generated dialogues of people who share pictures and are asked what
these show; the result is in docs/memlora.md.
"""

from duomem_jax.experiments.memories.experiment import LOOKERS, MemoryExperiment
from duomem_jax.experiments.memories.folds import Generated
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.models.shipped import model_folder
from duomem_jax.speak.open import Local
from duomem_jax.worlds.dialogues import Size


def get_experiment() -> MemoryExperiment:
    """Three training seeds; four pictures a dialogue."""
    train = tiny_training(steps=250, warmup_steps=10)
    return MemoryExperiment(
        title="MemLoRA-V in miniature: what pictures show",
        output="runs/memlora-v",
        model=str(model_folder("tiny-seer")),
        dialogues=Generated(learnt=400, asked=40, size=Size(sessions=4, questions=8), pictures=4),
        # Not learnt: no row below has an expert of these.
        extract=train,
        update=train,
        answer=train,
        look=train,
        local=Local(tiles="one"),
        seeds=(0, 1, 2),
        rows=LOOKERS,
        workers=2,
    )
