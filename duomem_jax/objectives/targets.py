"""What a student's reply tokens are compared with, and the loss that comes of it.

`train.plan` decides which of these a run has; a step asks it for the loss and knows no more.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from duomem_jax.objectives.batch import Batch
from duomem_jax.objectives.candidates import log_probs_of, with_rest
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.divergences import make_divergence
from duomem_jax.objectives.fused import Head, sum_over_tokens, vocab_of
from duomem_jax.objectives.replies import next_tokens, replies_first
from duomem_jax.objectives.text import cross_entropy
from duomem_jax.objectives.vocabulary import between_logits


class States(NamedTuple):
    """A model's view of a batch, before its head."""

    x_BTD: jax.Array  # final hidden states
    head: Head


class Loss(NamedTuple):
    """A mean that is not divided yet, so that it can be added up over batches and devices."""

    total: jax.Array  # nats, float32
    weight: jax.Array  # tokens, float32

    @property
    def mean(self) -> jax.Array:
        """Per token; 0 where there is none."""
        return self.total / jnp.maximum(self.weight, 1)


class Needs(NamedTuple):
    """Which parts of stored rows a target reads, besides the student's tokens."""

    teacher: bool = False  # the teacher's own view, where there is one
    stored: bool = False
    chunks: bool = False


EVERYTHING = Needs(True, True, True)


class Targets(Protocol):
    """One kind of target.

    Attributes:
        live: whether the teacher is in the loop, so that `loss` is given its states.
        needs: which parts of rows are read; the others need not be sent to the devices.
    """

    live: bool
    needs: Needs

    def loss(self, student: States, batch: Batch, teacher: States | None) -> Loss:
        """The objective over the reply tokens of a batch.

        Args:
            student: differentiated.
            batch: packed rows.
            teacher: over `batch.taught`, a constant; None where it is not in the loop.
        """
        ...


@dataclass(frozen=True)
class TextTargets:
    """The tokens that were written: cross-entropy."""

    live = False
    needs = Needs()

    def loss(self, student: States, batch: Batch, teacher: States | None = None) -> Loss:
        """See the protocol; text needs no teacher."""
        ids_BT, mask_BT = next_tokens(batch.student)
        # A = T: nothing bounds the replies of a row here, and chunks without any are skipped.
        live_BA, (x_BAD, ids_BA) = replies_first(mask_BT, (student.x_BTD, ids_BT), ids_BT.shape[1])
        return Loss(*sum_over_tokens(cross_entropy, x_BAD, student.head, live_BA, ids_BA))


@dataclass(frozen=True)
class StoredTargets:
    """Candidates that rows hold (`batch.stored`), against the student's view of the same ones."""

    objective: ObjectiveConfig
    live = False
    needs = Needs(stored=True)

    def loss(self, student: States, batch: Batch, teacher: States | None = None) -> Loss:
        """The divergence over candidates and the rest; tokens without targets are omitted."""
        stored = batch.stored
        if stored is None:
            raise ValueError("the batch holds no stored targets")
        # A is what `duomem label` gave these rows: room for the most reply tokens of any of them.
        written, live_BA, x_BAD = _written_first(student, batch, stored.ids_BAC.shape[1])

        def token_loss(logits_XV, targets):
            written, given = targets
            divergence_X = self._divergence(logits_XV, *given)
            return _mixed(self.objective, logits_XV, divergence_X, written)

        given = stored.ids_BAC, stored.log_probs_BAC, stored.rest_BA
        live_BA &= stored.mask_BA > 0
        return Loss(*sum_over_tokens(token_loss, x_BAD, student.head, live_BA, (written, given)))

    def _divergence(self, logits_XV, ids_XC, log_t_XC, rest_X) -> jax.Array:
        # Only the student is softened: stored targets have the temperature already, and
        # `train.plan` refuses another one.
        log_s_XC = log_probs_of(logits_XV / self.objective.temperature, ids_XC)
        log_t_XC = log_t_XC.astype(jnp.float32)
        if rest_X is None:  # samples: an estimate of the cross-entropy without bias
            return -jnp.sum(jnp.exp(log_t_XC) * log_s_XC, axis=-1)
        log_t_XO = jnp.concatenate([log_t_XC, rest_X.astype(jnp.float32)[..., None]], axis=-1)
        return make_divergence(self.objective)(with_rest(log_s_XC), log_t_XO)


@dataclass(frozen=True)
class LiveTargets:
    """A teacher in the loop with the student's vocabulary."""

    objective: ObjectiveConfig
    live = True
    needs = Needs(teacher=True)

    def loss(self, student: States, batch: Batch, teacher: States | None) -> Loss:
        """The divergence over the whole vocabulary, where both views have the reply token."""
        if teacher is None:
            raise ValueError("a live teacher's states are missing")
        head = teacher.head
        # What is paired is in both rows, so the shorter one has room for all of it.
        length = min(student.x_BTD.shape[1], teacher.x_BTD.shape[1])
        written, live_BA, x_BAD = _written_first(student, batch, length)
        # The teacher's own view: another prompt, perhaps, but the i-th reply token is the same.
        mask_BT = next_tokens(batch.taught)[1]
        # E, the teacher's width, may differ from the student's.
        seen_BA, y_BAE = replies_first(mask_BT, jax.lax.stop_gradient(teacher.x_BTD), length)

        # The teacher's head is applied here, a chunk at a time: its logits never exist whole.
        def token_loss(logits_XV, targets):
            written, y_XE = targets
            divergence_X = self._divergence(logits_XV, head(y_XE))
            return _mixed(self.objective, logits_XV, divergence_X, written)

        return Loss(
            *sum_over_tokens(
                token_loss,
                x_BAD,
                student.head,
                live_BA & seen_BA,
                (written, y_BAE),
                other_vocab=vocab_of(head, y_BAE),
            )
        )

    def _divergence(self, logits_XV, teacher_XV) -> jax.Array:
        # Models of one tokenizer may pad their heads differently: only what both have is compared.
        shared = min(logits_XV.shape[-1], teacher_XV.shape[-1])
        temperature = self.objective.temperature
        ours_XV, theirs_XV = (y[..., :shared] / temperature for y in (logits_XV, teacher_XV))
        return between_logits(make_divergence(self.objective), ours_XV, theirs_XV)


class _Written(NamedTuple):
    """The tokens that were written, and which of them are learnt as text whatever the teacher."""

    ids: jax.Array
    as_text: jax.Array | None


def _written_first(student: States, batch: Batch, length: int) -> tuple[_Written, Any, Any]:
    """(what was written, live_BA, x_BAD): reply tokens moved to the front of their rows."""
    ids_BT, mask_BT = next_tokens(batch.student)
    as_text_BT = batch.as_text_BT
    if as_text_BT is not None:
        # Shifted like the ids: it belongs to the token that a position predicts.
        as_text_BT = jnp.roll(as_text_BT, -1, axis=1)
    tree = student.x_BTD, _Written(ids_BT, as_text_BT)
    live_BA, (x_BAD, written) = replies_first(mask_BT, tree, length)
    return written, live_BA, x_BAD


def _mixed(config: ObjectiveConfig, logits_XV, divergence_X, written: _Written) -> jax.Array:
    """The divergence with its share of cross-entropy; temperature^2 keeps gradients in size."""
    loss_X = config.temperature**2 * divergence_X
    share: Any = config.ce_weight
    if config.gate:
        share = jnp.where(divergence_X > config.gate, share, 0.0)
    if written.as_text is not None:
        share = jnp.where(written.as_text > 0, 1.0, share)
    # A Python number, so that without a share no cross-entropy is traced.
    elif not config.ce_weight:
        return loss_X
    return (1 - share) * loss_X + share * cross_entropy(logits_XV, written.ids)
