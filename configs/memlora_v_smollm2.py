"""MemLoRA-V with a language model: SmolLM2-135M, which has learnt to see from rendered pictures.

    python -m duomem_jax.tiny.seer runs/see --decoder smollm2 --tower tiny-seer --rows 8 --steps 600
    duomem compare configs/memlora_v_smollm2.py

The first command trains the tiny tower and a projector before the frozen decoder; DUOMEM_MODEL
names another model that sees. Otherwise as configs/memlora_v.py, with fewer dialogues; not run yet.
"""

import os

from duomem_jax.experiments.memories.experiment import LOOKERS, MemoryExperiment
from duomem_jax.experiments.memories.folds import Generated
from duomem_jax.models.lora import LoraConfig
from duomem_jax.speak.open import Local
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.dialogues import Size


def get_experiment() -> MemoryExperiment:
    """Two training seeds; sizes that take two cores an hour or two."""
    train = TrainConfig(
        base="",
        data="",
        output="",
        lora=LoraConfig(rank=8, alpha=16.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=10),
        steps=100,
        global_batch=2,
        checkpoint_every=20,
    )
    return MemoryExperiment(
        title="MemLoRA-V with SmolLM2-135M: what pictures show",
        output="runs/memlora-v-smollm2",
        model=os.environ.get("DUOMEM_MODEL", "runs/see/model"),
        dialogues=Generated(learnt=200, asked=20, size=Size(sessions=4, questions=8), pictures=4),
        # Not learnt: no row below has an expert of these.
        extract=train,
        update=train,
        answer=train,
        look=train,
        length=512,
        local=Local(tiles="one"),
        seeds=(0, 1),
        rows=LOOKERS,
        workers=2,
    )
