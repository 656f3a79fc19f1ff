"""A training run: plan, weights, state, feed, loop, checkpoints, metrics, result."""

from duomem_jax.train.config import OnPolicyConfig, OptimizerConfig, TrainConfig, load_config
from duomem_jax.train.run import run

__all__ = [
    "OnPolicyConfig",
    "OptimizerConfig",
    "TrainConfig",
    "load_config",
    "run",
]
