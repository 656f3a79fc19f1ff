"""Where the batches of a run come from, and putting them on the mesh."""

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jax.sharding import Mesh

from duomem_jax.base.errors import UserError
from duomem_jax.data.loader import batches
from duomem_jax.data.pictures import StoredPictures
from duomem_jax.mesh.sharding import places, put_batch
from duomem_jax.objectives import Batch, Tokens
from duomem_jax.train.plan import Plan
from duomem_jax.train.state.state import Tree

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fed:
    """A global batch on the mesh, and metrics of how it was made, as (sum, weight) pairs."""

    batch: Any  # a `Batch`, or whatever the step takes
    metrics: dict[str, tuple[Any, Any]] = field(default_factory=dict)


class Feed(Protocol):
    """Gives one batch a step; which one depends on the step and the seed alone."""

    def batch(self, step: int, params: Tree) -> Fed:
        """The batch of the step after `step` others, with what has been learnt until then.

        Called with 0, 1, 2, ... or from any number on.
        """
        ...

    def close(self) -> None:
        """Let go of files and threads."""
        ...


class StoredRows:
    """Packed rows of a folder, which do not depend on what was learnt."""

    def __init__(self, plan: Plan, folder: str, start_step: int = 0):
        """Open the rows and read ahead, from the batch of step `start_step` + 1 on."""
        # By the devices of the mesh, not by the number of hosts: several hosts may hold the same
        # rows where an axis other than data and fsdp lies across them.
        here = places(plan.mesh)
        self._mesh: Mesh = plan.mesh
        self._folder, self._vocab = folder, plan.model.config.vocab_size
        self._made_for, self._told = plan.model.config.max_len, False
        self._teacher_vocab = plan.teacher.model.config.vocab_size if plan.teacher else 0
        self._rows = batches(
            folder,
            global_batch=plan.config.global_batch,
            seed=plan.config.seed,
            start_step=start_step,
            places=here.held,
            of=here.count,
            # The other parts would be sent to the devices for nothing.
            needs=plan.targets.needs,
            pictures=StoredPictures(plan.config.pictures) if plan.config.pictures else None,
        )

    def read(self) -> Batch:
        """This host's rows of the next global batch, as numpy arrays.

        Raises:
            UserError: a token is none of its model's.
        """
        batch = next(self._rows)
        # Every batch: beyond a table JAX reads whatever comes last, and a loss is wrong or NaN
        # without an error.
        self._check(batch.student.ids_BT, self._vocab)
        self._tell_of_length(batch.student)
        if batch.stored is not None:
            self._check(batch.stored.ids_BAC, self._vocab)
        if batch.teacher is not None and self._teacher_vocab:
            self._check(batch.teacher.ids_BT, self._teacher_vocab)
        return batch

    def _tell_of_length(self, tokens: Tokens) -> None:
        # A row may be longer than the model can read, where its conversations are not.
        if self._told or tokens.ids_BT.shape[1] <= self._made_for:
            return
        longest = int(np.max(np.where(tokens.segments_BT > 0, tokens.positions_BT, 0))) + 1
        if longest > self._made_for:
            self._told = True
            log.warning(
                "%s: a conversation of %d tokens, where the model was made for %d: what comes "
                "after them may be learnt badly; pack shorter rows",
                self._folder,
                longest,
                self._made_for,
            )

    def _check(self, ids: np.ndarray, vocab: int) -> None:
        least, most = int(ids.min()), int(ids.max())
        if least < 0 or most >= vocab:
            raise UserError(
                f"{self._folder}: a row holds the token id {most if least >= 0 else least}, and "
                f"the model has {vocab} tokens; write the rows again with the model's own "
                "tokenizer"
            )

    def batch(self, step: int, params: Tree) -> Fed:
        """The next batch; steps are asked for in their order."""
        return Fed(put_batch(self.read(), self._mesh))

    def close(self) -> None:
        """Stop the threads that read ahead."""
        self._rows.close()
