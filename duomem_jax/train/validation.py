"""The loss on rows that are not learnt from: it says which checkpoint is the best."""

import contextlib
import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from duomem_jax.mesh.sharding import places, put_batch
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.rows import Batch, stored_batches
from duomem_jax.train.state.step import Frozen, Task, batch_loss


class HeldOut:
    """The rows of `config.validation`."""

    def __init__(self, config: TrainConfig, task: Task, mesh: Mesh):
        """Count the rows.

        Args:
            config: of the run.
            task: models and objective.
            mesh: current when `loss` is called.
        """
        self._config, self._mesh, self._places = config, mesh, places(mesh)
        self._total = len(read_dataset(config.validation, config.split))
        self._loss = jax.jit(functools.partial(batch_loss, task))

    def loss(self, params: Any, frozen: Frozen) -> float:
        """Mean loss of a reply token over all rows, each read once."""
        size, here = self._config.global_batch, self._places
        part = size // here.count
        numbers = np.concatenate([np.arange(part) + part * place for place in here.held])
        sums = np.zeros(2)
        stored = stored_batches(self._config, self._config.validation, 0, here.held, here.count)
        with contextlib.closing(stored) as rows:
            for start in range(0, self._total, size):
                batch = _emptied(next(rows), start + numbers >= self._total)
                found = self._loss(params, frozen, put_batch(batch, self._mesh))
                sums += [float(x) for x in found]
        return float(sums[0] / max(sums[1], 1))


def _emptied(batch: Batch, surplus: np.ndarray) -> Batch:
    """Rows of the next epoch, which fill up the last batch, made empty."""
    return {
        name: np.where(surplus.reshape(-1, *[1] * (x.ndim - 1)), np.zeros((), x.dtype), x)
        for name, x in batch.items()
    }
