"""The target for a teacher with another tokenizer: chunks of text that both spell."""

from dataclasses import dataclass
from typing import get_args

import jax
import jax.numpy as jnp

from duomem_jax.objectives.aligned.alm import alm_loss
from duomem_jax.objectives.aligned.chunks import chunk_logprobs, states_before_chunks
from duomem_jax.objectives.aligned.reverse_calm import reverse_calm_loss
from duomem_jax.objectives.aligned.uld import uld_loss
from duomem_jax.objectives.batch import Batch
from duomem_jax.objectives.config import ObjectiveConfig, OnChunks
from duomem_jax.objectives.replies import next_tokens
from duomem_jax.objectives.targets import Loss, Needs, States, TextTargets

ON_CHUNKS = get_args(OnChunks)
# Names of objectives, and the divergence of `alm` that each stands for.
ALM = {
    "alm": "binary_cross_entropy",
    "alm_reverse_kl": "reverse_binary_kl",
    "alm_limit": "binary_kl_limit",
}


@dataclass(frozen=True)
class AlignedTargets:
    """A teacher in the loop with another tokenizer, on rows whose chunks are aligned."""

    objective: ObjectiveConfig
    live = True
    needs = Needs(teacher=True, chunks=True)

    def loss(self, student: States, batch: Batch, teacher: States | None) -> Loss:
        """Mean over chunks of the objective, and over reply tokens of the cross-entropy.

        The total is as if each reply token had the mean loss of a chunk, so that batches with
        many and with few chunks weigh by their tokens, as those of every other target do.
        """
        if teacher is None or batch.teacher is None:
            raise ValueError("a teacher's states and its own view of the batch are needed")
        taught = teacher._replace(x_BTD=jax.lax.stop_gradient(teacher.x_BTD))
        chunks = self._chunks(student, taught, batch)
        tokens = jnp.sum(next_tokens(batch.student)[1], dtype=jnp.float32)
        share = self.objective.ce_weight
        total = (1 - share) * chunks.mean * tokens
        if share:
            # A sum of its own: `targets._mixed` mixes within a token, and a chunk is not a token.
            total += share * TextTargets().loss(student, batch).total
        return Loss(total, tokens)

    def _chunks(self, student: States, teacher: States, batch: Batch) -> Loss:
        """The objective summed over the chunks that both sides predict, and their number."""
        mine, theirs = batch.student, batch.taught
        U = min(mine.ids_BT.shape[1], theirs.ids_BT.shape[1])
        name, temperature = self.objective.name, self.objective.temperature
        # ULD needs whole distributions, hence states; the others need a number for each chunk.
        if name == "uld":
            x_BUD, live_BU = states_before_chunks(student.x_BTD, mine, U)
            y_BUE, seen_BU = states_before_chunks(teacher.x_BTD, theirs, U)
            found = uld_loss(x_BUD, student.head, y_BUE, teacher.head, live_BU & seen_BU)
        else:
            student_BU, live_BU = chunk_logprobs(student, mine, U)
            teacher_BU, seen_BU = chunk_logprobs(teacher, theirs, U)
            both_BU = live_BU & seen_BU
            if name == "reverse_calm":
                found = reverse_calm_loss(student_BU, teacher_BU, both_BU, temperature=temperature)
            else:
                found = alm_loss(
                    student_BU,
                    teacher_BU,
                    both_BU,
                    temperature=temperature,
                    divergence=ALM[name],
                )
        total, chunks = found
        return Loss(total * self._scale(), chunks)

    def _scale(self) -> float:
        """The temperature, by whose inverse most gradients shrink; two objectives have none."""
        return 1.0 if self.objective.name in ("alm_limit", "uld") else self.objective.temperature
