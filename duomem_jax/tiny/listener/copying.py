"""Attention that begins near to copying: it looks for what came after the same two tokens before.

Small models learn to copy late (Olsson et al. 2022, "In-context learning and induction heads",
arXiv 2209.11895): after two and a half million tokens a fresh one of this size still could not. So
two heads of the first layer begin as heads that look one and two tokens back, and one of the
second as a head that looks for what these saw and takes the token there. All of it is trained.
"""

from typing import Any

import numpy as np

from duomem_jax.models.config import ModelConfig

SHARP = 1.5  # scale of queries and keys where they match, beside 1 elsewhere
NEAR = 4  # pairs of the fastest rotation, which tell one token back from two
SLOW = 15  # the first pair that hardly rotates over some hundred tokens
# Of the residual stream: a constant, what a token is, what the ones before it are.
OWN, BEFORE, BEFORE_THAT = slice(1, 64), slice(64, 96), slice(96, 128)
LAST, TWO = 20, 14  # numbers that say what the last token is, and the one before it


def compose_copying(params: dict[str, Any], config: ModelConfig, std: float, seed: int) -> None:
    """Make some heads of fresh parameters look for what is to be copied.

    Args:
        params: fresh ones, NumPy arrays, of width 128 and two layers at least; changed.
        config: of their model.
        std: of an embedding's entries.
        seed: of the projection that says what a token is in few numbers.
    """
    width, half = config.head_dim, config.head_dim // 2
    rng = np.random.default_rng(seed)
    own = OWN.stop - OWN.start
    # Orthonormal columns: what is different stays different.
    few_DE = np.linalg.qr(rng.normal(size=(own, BEFORE.stop - BEFORE.start)))[0]
    embedding_VD = params["embedding"]
    embedding_VD[:, 0] = 4 * std
    embedding_VD[:, OWN.stop :] *= 0.1
    attention = params["layers"]["self_attn"]
    query, key, value, out = (
        attention[name]["kernel"] for name in ("q_proj", "k_proj", "v_proj", "o_proj")
    )
    fast = np.arange(NEAR)
    angle = config.rope.frequencies(width)[:NEAR]
    key[0, :, :width] = 0
    key[0, 0, fast] = 1
    for head, back in enumerate((1, 2)):
        at = head * width
        query[0, :, at : at + width] = 0
        # Turned back by so many tokens, a constant query meets the constant key there.
        query[0, 0, at + fast] = np.cos(back * angle)
        query[0, 0, at + fast + half] = -np.sin(back * angle)
    few = few_DE.shape[1]
    # Nothing else: what other numbers a head carries would be noise in what a token is.
    value[0, :, :width] = 0
    value[0, OWN, :few] = few_DE
    for head, place in enumerate((BEFORE, BEFORE_THAT)):
        out[0, head * width : (head + 1) * width] = 0
        out[0, head * width : head * width + few, place] = np.eye(few) * std * 0.75
    slow = np.concatenate([np.arange(SLOW, half), np.arange(half + SLOW, width)])
    last, two = slow[:LAST], slow[LAST : LAST + TWO]
    key[1, :, :width] = query[1, :, :width] = 0
    key[1, np.arange(BEFORE.start, BEFORE.start + LAST), last] = 1
    key[1, np.arange(BEFORE_THAT.start, BEFORE_THAT.start + TWO), two] = 1
    query[1][np.arange(OWN.start, OWN.stop)[:, None], last[None]] = few_DE[:, :LAST]
    query[1, np.arange(BEFORE.start, BEFORE.start + TWO), two] = 1
    value[1, :, :width] = 0
    value[1, np.arange(OWN.start, OWN.stop), np.arange(own)] = 1
    out[1, :own] = 0
    out[1, np.arange(own), np.arange(OWN.start, OWN.stop)] = 1.5 * std
    for name in ("q_norm", "k_norm"):
        scale = attention[name]["scale"]
        scale[0, [*fast, *(fast + half)]] = SHARP
        scale[1, slow] = SHARP
