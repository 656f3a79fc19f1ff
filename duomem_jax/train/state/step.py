"""One update as a pure function, and its jitted form."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.mesh.sharding import BATCH
from duomem_jax.models.flops import forward_flops, load_of, train_flops
from duomem_jax.models.model import Model
from duomem_jax.models.vision.merge import PictureFeatures
from duomem_jax.objectives import Batch, Loss, States, Targets, TextTargets, Tokens
from duomem_jax.objectives.replies import next_tokens
from duomem_jax.train.state.state import TrainState, Tree

Metrics = dict[str, tuple[jax.Array, jax.Array]]  # name -> (sum, weight)


class Frozen(NamedTuple):
    """Parameters that a step reads and leaves as they are."""

    base: Tree | None = None  # the student's, None where all of them are trained
    teacher: Tree | None = None  # a teacher's in the loop; None: no teacher, or the base is it

    @property
    def taught_by(self) -> Tree:
        """The parameters of the teacher in the loop."""
        found = self.base if self.teacher is None else self.teacher
        assert found is not None
        return found


@dataclass(frozen=True)
class Learner:
    """What is fixed about a step.

    Attributes:
        model: with a LoraConfig when an adapter is trained.
        tx: the optimizer.
        targets: what replies are compared with.
        teacher: the model in the loop that `targets` asks for, or None.
    """

    model: Model
    tx: optax.GradientTransformation
    targets: Targets = field(default_factory=TextTargets)
    teacher: Model | None = None


def train_step(
    learner: Learner, state: TrainState, frozen: Frozen, batch: Batch
) -> tuple[TrainState, Metrics]:
    """One gradient step on the mean loss per reply token of the batch.

    Args:
        learner: models, optimizer, targets.
        state: its `params` is the adapter, or all parameters when there is no frozen base.
        frozen: the rest.
        batch: rows [B,T]; which parts it needs, `learner.targets.needs` says.

    Returns:
        (next state, metrics as (sum, weight) pairs).
    """
    key = _dropout_key(learner.model, state, frozen)
    # Outside of what is differentiated: nothing of the teacher's forward pass is kept.
    teacher = _taught(learner, frozen, batch)

    def loss_of(params: Tree) -> Loss:
        return _loss(learner, params, frozen, batch, teacher, key)

    state, loss, grad_norm = updated(learner.tx, state, loss_of)
    return state, _metrics(learner, batch, loss, grad_norm)


def updated(
    tx: optax.GradientTransformation, state: TrainState, loss_of: Callable[[Tree], Loss]
) -> tuple[TrainState, Loss, jax.Array]:
    """The state after one update by the mean of a loss, that loss, and its gradient's norm."""

    def mean(params: Tree) -> tuple[jax.Array, Loss]:
        # The mean over all hosts' rows: arrays are global, so its sums are too.
        loss = loss_of(params)
        return loss.mean, loss

    (_, loss), grads = jax.value_and_grad(mean, has_aux=True)(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    next_state = TrainState(state.step + 1, params, opt_state, state.rng)
    return next_state, loss, optax.global_norm(grads)


def batch_loss(learner: Learner, params: Tree, frozen: Frozen, batch: Batch) -> Loss:
    """The loss of a batch, without dropout and without an update."""
    return _loss(learner, params, frozen, batch, _taught(learner, frozen, batch))


def _dropout_key(model: Model, state: TrainState, frozen: Frozen) -> jax.Array | None:
    # Dropout is the adapter's alone, as in PEFT.
    if frozen.base is None or model.lora is None or not model.lora.dropout:
        return None
    # `rng` never changes: the noise of a step depends on the seed and the step, as its rows do.
    return jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)


def _taught(learner: Learner, frozen: Frozen, batch: Batch) -> States | None:
    """What the teacher in the loop makes of the batch."""
    if learner.teacher is None:
        return None
    # Without an adapter, also where the teacher is the student's own base.
    x_BTD = learner.teacher.hidden(frozen.taught_by, *_inputs(batch.taught))
    return States(x_BTD, learner.teacher.head(frozen.taught_by))


def _loss(
    learner: Learner,
    params: Tree,
    frozen: Frozen,
    batch: Batch,
    teacher: States | None,
    key: jax.Array | None = None,
) -> Loss:
    # The trained tree is the base itself, or an adapter beside a frozen one.
    base, lora = (params, None) if frozen.base is None else (frozen.base, params)
    x_BTD = learner.model.hidden(
        base, *_inputs(batch.student), lora, dropout_key=key, pictures=_pictures(batch)
    )
    return learner.targets.loss(States(x_BTD, learner.model.head(base)), batch, teacher)


def _inputs(tokens: Tokens) -> tuple[jax.Array, jax.Array, jax.Array]:
    return tokens.ids_BT, tokens.positions_BT, tokens.segments_BT


def _pictures(batch: Batch) -> PictureFeatures | None:
    if batch.seen is None:
        return None
    assert batch.seen.features_BnD is not None
    return PictureFeatures(batch.seen.features_BnD, batch.seen.index_BT)


def _metrics(learner: Learner, batch: Batch, loss: Loss, grad_norm: jax.Array) -> Metrics:
    one = jnp.float32(1)
    # Counted apart from the loss: a reply token without a target is not in the loss's weight.
    replies = jnp.sum(next_tokens(batch.student)[1], dtype=jnp.float32)
    load = load_of(
        learner.model, batch.student.positions_BT, batch.student.segments_BT, loss.weight
    )
    flops = train_flops(learner.model, load)
    if learner.teacher is not None:
        # A teacher's view may be longer than the student's: it has memories in front.
        view = batch.taught
        read = load_of(learner.teacher, view.positions_BT, view.segments_BT, loss.weight)
        flops += forward_flops(learner.teacher, read)
    return {
        "loss": (loss.total, loss.weight),
        "grad_norm": (grad_norm, one),
        "loss_tokens": (loss.weight, one),
        "missing_targets": (replies - loss.weight, one),
        "tokens": (load.tokens, one),
        "flops": (flops, one),
    }


def jit_step(
    learner: Learner, state_shardings: TrainState, frozen_shardings: Frozen, mesh: Mesh
) -> jax.stages.Wrapped:
    """`train_step(state, frozen, batch)` with explicit shardings; the state is donated.

    Args:
        learner: what is fixed.
        state_shardings: of the state before and after.
        frozen_shardings: of the frozen parameters.
        mesh: rows lie along its `data` and `fsdp` axes, metrics on every device.
    """
    return jax.jit(
        functools.partial(train_step, learner),
        # The new state takes the old one's buffers; without it there would be two of each on a
        # device.
        donate_argnums=0,
        # The last one stands for all arrays of a batch, whichever of its parts are there.
        in_shardings=(state_shardings, frozen_shardings, NamedSharding(mesh, BATCH)),
        out_shardings=(state_shardings, NamedSharding(mesh, P())),
    )
