"""The loss on rows that are not learnt from: it says which checkpoint is the best."""

import contextlib
import functools

import jax
import numpy as np

from duomem_jax.mesh.sharding import places, put_batch
from duomem_jax.objectives import Batch
from duomem_jax.train.feed import StoredRows
from duomem_jax.train.plan import Plan
from duomem_jax.train.state.state import Tree
from duomem_jax.train.state.step import Frozen, Learner, batch_loss


class Validation:
    """The rows of `config.validation`."""

    def __init__(self, plan: Plan, learner: Learner):
        """Compile nothing yet.

        Args:
            plan: of the run, with validation rows; its mesh is current when `loss` is called.
            learner: models and targets.
        """
        assert plan.validation is not None
        self._plan, self._rows = plan, plan.validation
        # The loss of training itself, so that the two can be compared; without dropout.
        self._loss = jax.jit(functools.partial(batch_loss, learner))

    def loss(self, params: Tree, frozen: Frozen) -> float:
        """Mean loss of a reply token over all rows, each read once."""
        mesh, size = self._plan.mesh, self._plan.config.global_batch
        here = places(mesh)
        part = size // here.count
        # Where this host's rows stand in a global batch.
        number_B = np.concatenate([np.arange(part) + part * place for place in here.held])
        total = weight = 0.0
        # From step 0 each time. Rows are shuffled, but the first `rows` of them are one epoch: each
        # once.
        with contextlib.closing(StoredRows(self._plan, self._rows.folder)) as rows:
            for start in range(0, self._rows.rows, size):
                # The same shape for the last, short batch: nothing is compiled for it.
                batch = _without(rows.read(), start + number_B >= self._rows.rows)
                loss = self._loss(params, frozen, put_batch(batch, mesh))
                # Sums, divided once: batches have different numbers of reply tokens.
                total += float(loss.total)
                weight += float(loss.weight)
        return total / max(weight, 1.0)


def _without(batch: Batch, surplus_B: np.ndarray) -> Batch:
    """The last batch is filled up with rows of the next epoch: those are made empty."""

    def clear(x: np.ndarray) -> np.ndarray:
        # Zeros are what padding is: segment 0, and no reply. `surplus_B` is [B], leaves are
        # [B,...].
        return np.where(surplus_B.reshape(-1, *[1] * (x.ndim - 1)), np.zeros((), x.dtype), x)

    return jax.tree.map(clear, batch)
