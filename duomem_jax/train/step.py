"""One update as a pure function, and its jitted form."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.models.model import Model
from duomem_jax.objectives.text import next_tokens, text_loss
from duomem_jax.train.sharding import BATCH
from duomem_jax.train.state import TrainState

FIELDS = ("tokens", "segment_ids", "positions", "loss_mask")  # of a batch, each [B,T]
Metrics = dict[str, tuple[jax.Array, jax.Array]]  # name -> (sum, weight)


def train_step(
    model: Model,
    tx: optax.GradientTransformation,
    state: TrainState,
    base: Any,
    batch: dict[str, jax.Array],
) -> tuple[TrainState, Metrics]:
    """One gradient step on the mean next-token loss of the batch.

    Args:
        model: with a LoraConfig when an adapter is trained.
        tx: the optimizer.
        state: its `params` is the adapter, or all parameters when `base` is None.
        base: frozen parameters, or None.
        batch: `FIELDS`.

    Returns:
        (next state, metrics as (sum, weight) pairs).
    """

    key = None
    if base is not None and model.lora is not None and model.lora.dropout:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)

    def loss_fn(params: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        weights, lora = (params, None) if base is None else (base, params)
        inputs = batch["tokens"], batch["positions"], batch["segment_ids"]
        x_BTD = model.hidden(weights, *inputs, lora, dropout_key=key)
        loss_sum, weight = text_loss(x_BTD, model.head(weights), *next_tokens(batch))
        return loss_sum / jnp.maximum(weight, 1), (loss_sum, weight)

    (_, loss), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    one = jnp.float32(1)
    metrics = {
        "loss": loss,
        "grad_norm": (optax.global_norm(grads), one),
        "loss_tokens": (loss[1], one),
        "tokens": (jnp.sum(batch["segment_ids"] > 0, dtype=jnp.float32), one),
    }
    return TrainState(state.step + 1, params, opt_state, state.rng), metrics


def jit_step(
    model: Model,
    tx: optax.GradientTransformation,
    state_shardings: TrainState,
    base_shardings: Any,
    mesh: Mesh,
) -> Callable[[TrainState, Any, dict[str, jax.Array]], tuple[TrainState, Metrics]]:
    """`train_step(state, base, batch)` with explicit shardings; the state is donated."""
    return jax.jit(
        functools.partial(train_step, model, tx),
        donate_argnums=0,
        in_shardings=(state_shardings, base_shardings, NamedSharding(mesh, BATCH)),
        out_shardings=(state_shardings, NamedSharding(mesh, P())),
    )
