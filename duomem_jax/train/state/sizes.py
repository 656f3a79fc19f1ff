"""The arrays that a run holds all the time, as shapes: known before anything is loaded."""

import functools

import jax

from duomem_jax.models.model import Model
from duomem_jax.models.shapes import tree_bytes, weight_shapes
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.state.optimizer import make_optimizer
from duomem_jax.train.state.state import TrainState, Tree, new_state


def state_shapes(config: TrainConfig, model: Model) -> TrainState:
    """The state of a run at its start, as shapes."""
    tx = make_optimizer(config.optimizer, config.steps)
    part = "lora" if config.trainable == "lora" else "params"
    # The function that makes a real state, so that the two cannot differ.
    return jax.eval_shape(functools.partial(new_state, tx), model.shapes()[part])


def held_bytes(config: TrainConfig, model: Model, teacher: Model | None = None) -> int:
    """Bytes of weights, trained tree and optimizer over all devices."""
    held: list[Tree] = [state_shapes(config, model)]
    # Otherwise the base is the trained tree, which the state has counted.
    if config.trainable == "lora":
        held.append(weight_shapes(model, config.dtype, config.quantize))
    if teacher is not None:
        held.append(weight_shapes(teacher, config.dtype))
    return tree_bytes(held)
