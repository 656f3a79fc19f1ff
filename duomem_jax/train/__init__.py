"""Everything a run needs: mesh, state, step, checkpoints, metrics, export."""

from duomem_jax.train.config import OnPolicyConfig, OptimizerConfig, TrainConfig, load_config
from duomem_jax.train.run import run

__all__ = [
    "OnPolicyConfig",
    "OptimizerConfig",
    "TrainConfig",
    "load_config",
    "run",
]
