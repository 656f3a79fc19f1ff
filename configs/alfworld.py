"""DuoMem with SmolLM2-135M-Instruct on real ALFWorld games: train, and valid_seen (140).

    duomem compare configs/alfworld.py

The games come from `$ALFWORLD_DATA/json_2.1.1` (`alfworld-download` puts them there) or from the
folder that DUOMEM_REAL_GAMES names. For one accelerator: set CUDA_VISIBLE_DEVICES=0 and
XLA_PYTHON_CLIENT_PREALLOCATE=false, so that the adapters of three seeds share it.
"""

from duomem_jax.experiments.alfworld import alfworld_experiment, alfworld_training
from duomem_jax.experiments.experiment import Experiment


def get_experiment() -> Experiment:
    """Two recipes, three training seeds, each three times through the episodes of the teacher."""
    return alfworld_experiment(
        title="DuoMem with SmolLM2-135M: ALFWorld valid_seen",
        output="runs/alfworld",
        student="smollm2",
        train=alfworld_training(steps=340, global_batch=16),
    )
