"""From a config to the loss of a batch, whatever the targets are."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from duomem_jax.objectives.candidates import log_probs_of, with_rest
from duomem_jax.objectives.chunked import Head, sum_over_tokens
from duomem_jax.objectives.chunks import ON_CHUNKS, chunk_loss_of
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.dense import Divergence, between_logits
from duomem_jax.objectives.forward_kl import forward_kl
from duomem_jax.objectives.jsd import jsd
from duomem_jax.objectives.replies import front, next_tokens
from duomem_jax.objectives.reverse_kl import reverse_kl
from duomem_jax.objectives.skew import skew_forward_kl, skew_reverse_kl
from duomem_jax.objectives.text import cross_entropy

# Over the vocabulary, or over candidates and the rest.
DIVERGENCES: dict[str, Callable[..., jax.Array]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
    "skew_forward_kl": skew_forward_kl,
    "skew_reverse_kl": skew_reverse_kl,
}


class Teacher(NamedTuple):
    """A teacher in the loop, after its forward pass."""

    x_BTE: jax.Array  # final hidden states over its view of the batch
    head: Head
    view: str  # prefix of the fields of its view, "" where it reads what the student reads


def loss_of(
    config: ObjectiveConfig,
    x_BTD: jax.Array,
    head: Head,
    batch: dict[str, jax.Array],
    teacher: Teacher | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Sum of the objective over the tokens of the replies, and their number.

    The targets are the teacher's distributions, or what the batch holds of them, or the tokens:

    target_ids       int32 [B,M,C], candidates of the i-th reply token of a row
    target_log_probs [B,M,C], the teacher's; or the log-weights of samples
    target_rest      [B,M], log-probability of all others; absent: candidates are samples
    target_mask      [B,M], 1 where there are targets; a token without is left out

    and tokens marked in `as_text` [B,T], where there is one, are learnt by their cross-entropy.

    Args:
        config: the objective.
        x_BTD: the student's final hidden states.
        head: the student's.
        batch: packed rows.
        teacher: in the loop, or None.

    Returns:
        (loss_sum in nats, weight), float32 scalars.
    """
    if config.name in ON_CHUNKS:
        assert teacher is not None
        return chunk_loss_of(config, x_BTD, head, batch, teacher.x_BTE, teacher.head)
    tokens_BT, mask_BT = next_tokens(batch)
    written = {"tokens": tokens_BT}
    if "as_text" in batch:
        written["as_text"] = jnp.roll(batch["as_text"], -1, axis=1)
    length = x_BTD.shape[1]
    if teacher is not None:
        length = min(length, teacher.x_BTE.shape[1])
    elif config.name != "text":
        length = batch["target_ids"].shape[1]
    live_BM, (x_BMD, written) = front(mask_BT, (x_BTD, written), length)

    if config.name == "text":
        return sum_over_tokens(cross_entropy, x_BMD, head, live_BM, written["tokens"])
    if teacher is not None:
        mask_BU = next_tokens(batch, teacher.view)[1]
        seen_BM, y_BME = front(mask_BU, jax.lax.stop_gradient(teacher.x_BTE), length)

        def dense(logits_MV, targets):
            written, y_ME = targets
            divergence_M = _dense(config, logits_MV, teacher.head(y_ME))
            return _mixed(config, logits_MV, divergence_M, **written)

        vocab, live_BM = jax.eval_shape(teacher.head, y_BME[:, :1]).shape[-1], live_BM & seen_BM
        return sum_over_tokens(dense, x_BMD, head, live_BM, (written, y_BME), other_vocab=vocab)
    stored = {name: x for name, x in batch.items() if name.startswith("target_")}
    live_BM &= stored.pop("target_mask") > 0

    def sparse(logits_MV, targets):
        written, stored = targets
        return _mixed(config, logits_MV, _sparse(config, logits_MV, **stored), **written)

    return sum_over_tokens(sparse, x_BMD, head, live_BM, (written, stored))


def _mixed(
    config: ObjectiveConfig, logits_MV, divergence_M, tokens: jax.Array, as_text: Any = None
) -> jax.Array:
    loss_M = config.temperature**2 * divergence_M
    if as_text is None and not config.ce_weight:
        return loss_M
    share = config.ce_weight if as_text is None else jnp.where(as_text > 0, 1.0, config.ce_weight)
    return (1 - share) * loss_M + share * cross_entropy(logits_MV, tokens)


def _divergence(config: ObjectiveConfig) -> Divergence:
    divergence = DIVERGENCES[config.name]
    if config.name == "jsd":
        return functools.partial(divergence, beta=config.beta)
    if config.name.startswith("skew"):
        return functools.partial(divergence, skew=config.skew)
    return divergence


def _dense(config: ObjectiveConfig, logits_MV, teacher_MV) -> jax.Array:
    # Models of one tokenizer may pad their heads differently: only what both have is compared.
    shared = min(logits_MV.shape[-1], teacher_MV.shape[-1])
    soft = (y[..., :shared] / config.temperature for y in (logits_MV, teacher_MV))
    return between_logits(_divergence(config), *soft)


def _sparse(
    config: ObjectiveConfig, logits_MV, target_ids, target_log_probs, target_rest=None
) -> jax.Array:
    log_s = log_probs_of(logits_MV / config.temperature, target_ids)
    log_t = target_log_probs.astype(jnp.float32)
    if target_rest is None:  # samples: an estimate of the cross-entropy without bias
        return -jnp.sum(jnp.exp(log_t) * log_s, axis=-1)
    log_t = jnp.concatenate([log_t, target_rest.astype(jnp.float32)[..., None]], axis=-1)
    return _divergence(config)(with_rest(log_s), log_t)
