"""Objectives for a teacher with another tokenizer, on chunks of text that both spell."""

from typing import get_args

import jax
import jax.numpy as jnp

from duomem_jax.objectives.aligned import chunk_logprobs, states_before_chunks
from duomem_jax.objectives.alm import alm_loss
from duomem_jax.objectives.chunked import Head, sum_over_tokens
from duomem_jax.objectives.config import ObjectiveConfig, OnChunks
from duomem_jax.objectives.replies import front, next_tokens
from duomem_jax.objectives.reverse_calm import reverse_calm_loss
from duomem_jax.objectives.text import cross_entropy
from duomem_jax.objectives.uld import uld_loss

ON_CHUNKS = get_args(OnChunks)
ALM = {
    "alm": "binary_cross_entropy",
    "alm_reverse_kl": "reverse_binary_kl",
    "alm_limit": "binary_kl_limit",
}


def chunk_loss_of(
    config: ObjectiveConfig,
    x_BTD: jax.Array,
    head: Head,
    batch: dict[str, jax.Array],
    teacher_x_BUE: jax.Array,
    teacher_head: Head,
) -> tuple[jax.Array, jax.Array]:
    """Mean over chunks of the objective, and over reply tokens of the cross-entropy.

    Args:
        config: the objective, named in `ON_CHUNKS`.
        x_BTD: the student's final hidden states.
        head: the student's.
        batch: rows with both views and the chunks of each.
        teacher_x_BUE: the teacher's final hidden states over its own view.
        teacher_head: the teacher's.

    Returns:
        (loss_sum, weight): as if each reply token had the mean loss of a chunk; float32 scalars.
    """
    mine, theirs = (
        {name: batch[view + name] for name in ("tokens", "segment_ids", "loss_mask", "chunks")}
        for view in ("", "teacher_")
    )
    N = min(mine["tokens"].shape[1], theirs["tokens"].shape[1])
    teacher_x_BUE = jax.lax.stop_gradient(teacher_x_BUE)
    if config.name == "uld":
        x_BND, live_BN = states_before_chunks(x_BTD, mine, N)
        y_BNE, seen_BN = states_before_chunks(teacher_x_BUE, theirs, N)
        summed, chunks = uld_loss(x_BND, head, y_BNE, teacher_head, live_BN & seen_BN)
    else:
        student_BN, live_BN = chunk_logprobs(x_BTD, head, mine, N)
        teacher_BN, seen_BN = chunk_logprobs(teacher_x_BUE, teacher_head, theirs, N)
        both = student_BN, teacher_BN, live_BN & seen_BN
        if config.name == "reverse_calm":
            summed, chunks = reverse_calm_loss(*both, temperature=config.temperature)
        else:
            kind, tau = ALM[config.name], config.temperature
            summed, chunks = alm_loss(*both, temperature=tau, divergence=kind)
        if config.name != "alm_limit":
            summed *= config.temperature
    tokens_BT, mask_BT = next_tokens(mine)
    live_BM, (x_BMD, tokens_BM) = front(mask_BT, (x_BTD, tokens_BT), tokens_BT.shape[1])
    weight = jnp.sum(live_BM, dtype=jnp.float32)
    loss = (1 - config.ce_weight) * summed * weight / jnp.maximum(chunks, 1)
    if config.ce_weight:
        text, _ = sum_over_tokens(cross_entropy, x_BMD, head, live_BM, tokens_BM)
        loss += config.ce_weight * text
    return loss, weight
