"""Optimizers and schedules by config."""

from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from duomem_jax.train.config import OptimizerConfig
from duomem_jax.train.state.state import Tree

# Leaves that are matrices; embeddings, heads, norms and biases are not in the list.
HIDDEN = ("kernel", "a", "b")


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Linear warm-up from 0 to the peak, then cosine or linear decay to 0 at `steps`."""
    # Optax refuses a decay over no steps, which a run that only warms up would have.
    peak, rest = config.learning_rate, max(1, steps - config.warmup_steps)
    decays = {
        "cosine": optax.cosine_decay_schedule(peak, rest),
        "linear": optax.linear_schedule(peak, 0.0, rest),
    }
    if not config.warmup_steps:
        return decays[config.schedule]
    # From step 1, not 0: a first step without an update would be wasted.
    warmup = optax.linear_schedule(peak / config.warmup_steps, peak, config.warmup_steps)
    return optax.join_schedules([warmup, decays[config.schedule]], [config.warmup_steps])


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The whole update rule: clip, then adamw or muon, with the schedule inside."""
    schedule = make_schedule(config, steps)
    # Left to itself optax gives muon all 2-D leaves: it would take embeddings and miss the stacked
    # kernels. Its Adam, for the rest, decays nothing by default.
    if config.name == "muon":
        rule = muon(
            schedule,
            weight_decay=config.weight_decay,
            adam_b2=config.b2,
            muon_weight_dimension_numbers=_muon_dimensions,
            consistent_rms=0.2,  # updates as large as adamw's, so one rate serves both
        )
    else:
        rule = optax.adamw(
            schedule, b2=config.b2, weight_decay=config.weight_decay, mask=_is_hidden
        )
    return optax.chain(optax.clip_by_global_norm(config.clip), rule)


def _leaf_name(path: Any) -> str:
    return path[-1].key


def _is_hidden(params: Tree) -> Tree:
    return jax.tree_util.tree_map_with_path(lambda path, _: _leaf_name(path) in HIDDEN, params)


def _muon_dimensions(params: Tree) -> Tree:
    """Hidden kernels are [L, in, out]: orthogonalise the last two axes, one layer at a time."""
    return jax.tree_util.tree_map_with_path(
        # None leaves a leaf to Adam.
        lambda path, _: MuonDimensionNumbers(-2, -1) if _leaf_name(path) in HIDDEN else None,
        params,
    )
