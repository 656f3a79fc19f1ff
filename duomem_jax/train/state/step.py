"""One update as a pure function, and its jitted form."""

import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.mesh.sharding import BATCH
from duomem_jax.models.flops import forward_flops, load_of, train_flops
from duomem_jax.models.model import Model
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.loss import Teacher, loss_of
from duomem_jax.objectives.replies import next_tokens
from duomem_jax.train.state.state import TrainState

FIELDS = ("tokens", "segment_ids", "positions", "loss_mask")  # of each view of a batch, [B,T]
Metrics = dict[str, tuple[jax.Array, jax.Array]]  # name -> (sum, weight)


class Frozen(NamedTuple):
    """Parameters that a step reads and leaves as they are."""

    base: Any = None  # the student's, None where all of them are trained
    teacher: Any = None  # a teacher's in the loop, or None


@dataclass(frozen=True)
class Task:
    """What is fixed about a step.

    Attributes:
        model: with a LoraConfig when an adapter is trained.
        tx: the optimizer.
        objective: what the student is to do.
        teacher: a teacher in the loop, or None.
    """

    model: Model
    tx: optax.GradientTransformation
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    teacher: Model | None = None


def train_step(
    task: Task, state: TrainState, frozen: Frozen, batch: dict[str, jax.Array]
) -> tuple[TrainState, Metrics]:
    """One gradient step on the mean loss per reply token of the batch.

    Args:
        task: models, optimizer, objective.
        state: its `params` is the adapter, or all parameters when there is no frozen base.
        frozen: the rest.
        batch: `FIELDS` of the student's view, of the teacher's where it has its own
            ("teacher_tokens", ...), and stored targets (`objectives.loss.loss_of`).

    Returns:
        (next state, metrics as (sum, weight) pairs).
    """
    model, key = task.model, None
    if frozen.base is not None and model.lora is not None and model.lora.dropout:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
    teacher = _teacher(task, frozen, batch)

    def loss_fn(params: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        loss_sum, weight = _loss(task, params, frozen, batch, teacher, key)
        return loss_sum / jnp.maximum(weight, 1), (loss_sum, weight)

    (_, loss), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = task.tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    one = jnp.float32(1)
    replies = jnp.sum(next_tokens(batch)[1], dtype=jnp.float32)
    load = load_of(model, batch, "", loss[1])
    needed = train_flops(model, load)
    if task.teacher is not None:
        view = _view(batch)
        needed += forward_flops(task.teacher, load_of(task.teacher, batch, view, loss[1]))
    metrics = {
        "loss": loss,
        "grad_norm": (optax.global_norm(grads), one),
        "loss_tokens": (loss[1], one),
        "missing_targets": (replies - loss[1], one),
        "tokens": (load.tokens, one),
        "flops": (needed, one),
    }
    return TrainState(state.step + 1, params, opt_state, state.rng), metrics


def batch_loss(
    task: Task, params: Any, frozen: Frozen, batch: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """(sum of the loss, weight of its tokens) of a batch, without dropout."""
    return _loss(task, params, frozen, batch, _teacher(task, frozen, batch))


def _teacher(task: Task, frozen: Frozen, batch: dict[str, jax.Array]) -> Teacher | None:
    if task.teacher is None:
        return None
    view = _view(batch)
    x_BTE = task.teacher.hidden(frozen.teacher, *_inputs(batch, view))
    return Teacher(x_BTE, task.teacher.head(frozen.teacher), view)


def _view(batch: dict[str, jax.Array]) -> str:
    """What the names of the teacher's fields begin with: it may have a view of its own."""
    return "teacher_" if "teacher_tokens" in batch else ""


def _loss(
    task: Task,
    params: Any,
    frozen: Frozen,
    batch: dict[str, jax.Array],
    teacher: Teacher | None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    weights, lora = (params, None) if frozen.base is None else (frozen.base, params)
    x_BTD = task.model.hidden(weights, *_inputs(batch), lora, dropout_key=key)
    return loss_of(task.objective, x_BTD, task.model.head(weights), batch, teacher)


def _inputs(batch: dict[str, jax.Array], view: str = "") -> tuple[jax.Array, jax.Array, jax.Array]:
    return batch[view + "tokens"], batch[view + "positions"], batch[view + "segment_ids"]


def jit_step(
    task: Task, state_shardings: TrainState, frozen_shardings: Frozen, mesh: Mesh
) -> jax.stages.Wrapped:
    """`train_step(state, frozen, batch)` with explicit shardings; the state is donated."""
    return jax.jit(
        functools.partial(train_step, task),
        donate_argnums=0,
        in_shardings=(state_shardings, frozen_shardings, NamedSharding(mesh, BATCH)),
        out_shardings=(state_shardings, NamedSharding(mesh, P())),
    )
