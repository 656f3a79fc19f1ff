"""Head and loss over a few tokens at a time, so that [B, T, V] logits never exist.

The gradient is made in the forward pass, beside the loss: a chunk's logits are then computed once
instead of twice, and between the passes no more is kept than one gradient per hidden state.

Letters: A reply tokens of a row, moved to its front; X the tokens of one chunk, of each row or, in
a flat array, of all rows; n the number of chunks.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.models.axes import parts

LOGITS = 2**25  # most float32 logits alive at once on a device, unless MIN_CHUNK needs more
MIN_CHUNK, MAX_CHUNK = 16, 256  # tokens of each row

Head = Callable[[jax.Array], jax.Array]  # x_...D -> logits_...V float32
Captured = list[Any]  # arrays that a function closes over, or None in their places


def vocab_of(head: Head, x_BAD: jax.Array) -> int:
    """V, how many logits a head gives."""
    # Traced only: no logits are computed to count them.
    return jax.eval_shape(head, x_BAD[:, :1]).shape[-1]


def chunk_length(rows: int, tokens: int, vocab: int) -> int:
    """Tokens of each of a device's `rows` whose logits are computed together."""
    most = max(MIN_CHUNK, min(MAX_CHUNK, LOGITS // (rows * vocab)))
    chunks = -(-tokens // most)
    return -(-tokens // chunks)  # as few chunks as `most` allows, of equal length


def in_chunks(tree: Any, vocab: int) -> Any:
    """Arrays [B,A,...] as [n,B,X,...], A filled up with zeros; X is `chunk_length`."""
    B, A = jax.tree.leaves(tree)[0].shape[:2]
    # By the rows of one device, not of the global batch: each chunk reads the whole head there,
    # which takes its time however few tokens the chunk has.
    X = chunk_length(max(1, B // parts("batch")), A, vocab)

    # Cut along A only: each chunk has tokens of every row, so rows stay on their devices.
    def chunks(y_BA: jax.Array) -> jax.Array:
        y_BA = jnp.pad(y_BA, [(0, 0), (0, -A % X)] + [(0, 0)] * (y_BA.ndim - 2))
        return jnp.moveaxis(y_BA.reshape(B, -1, X, *y_BA.shape[2:]), 1, 0)

    return jax.tree.map(chunks, tree)


def from_chunks(tree: Any, length: int) -> Any:
    """Inverse of `in_chunks`: arrays [n,B,X,...] as [B,A,...] with A = `length`."""

    def join(y_nBX: jax.Array) -> jax.Array:
        y_BnX = jnp.moveaxis(y_nBX, 0, 1)
        return y_BnX.reshape(y_BnX.shape[0], -1, *y_BnX.shape[3:])[:, :length]

    return jax.tree.map(join, tree)


def map_over_tokens(function: Callable[[Any], Any], tree: Any, vocab: int) -> Any:
    """`function` of every token, chunk by chunk; nothing is differentiated.

    Args:
        function: from the tree's arrays [B,X,...] to a tree of arrays [B,X,...].
        tree: arrays [B,A,...].
        vocab: logits a token that `function` makes.
    """
    length = jax.tree.leaves(tree)[0].shape[1]
    return from_chunks(jax.lax.map(function, in_chunks(tree, vocab)), length)


def sum_over_tokens(
    token_loss: Callable[..., jax.Array],
    x_BAD: jax.Array,
    head: Head,
    live_BA: jax.Array,
    targets: Any,
    *,
    other_vocab: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """Sum a per-token loss over the live tokens; a chunk without any never meets the head.

    Args:
        token_loss: (logits_XV float32, targets of those tokens) -> loss_X float32.
        x_BAD: final hidden states, live tokens first (`replies.replies_first`).
        head: from x_XD to logits_XV; what it captures may be differentiated.
        live_BA: which tokens count.
        targets: a tree of arrays [B,A,...], taken as constants.
        other_vocab: logits a token that `token_loss` makes itself, such as a teacher's.

    Returns:
        (loss_sum, weight): float32 scalars; weight counts the live tokens.
    """

    def chunk_sum(*chunk):
        # Without an axis for rows: XLA:CPU takes ten times as long to reduce [1,X,V].
        x_XD, live_X, targets = jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), chunk)
        return jnp.sum(jnp.where(live_X, token_loss(head(x_XD), targets), 0.0))

    xs = in_chunks((x_BAD, live_BA, targets), vocab_of(head, x_BAD) + other_vocab)
    first = jax.tree.map(lambda y: y[0], xs)
    # A custom VJP has no gradient by what its function closes over: the head's weights, and what
    # else may be differentiated, become arguments.
    chunk_sum, captured = jax.closure_convert(chunk_sum, *first)
    return scan_live(chunk_sum, True, *xs, captured), jnp.sum(live_BA, dtype=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def scan_live(function, summed: bool, x_nBXD, live_nBX, targets, captured: Captured) -> jax.Array:
    """`function(x, live, targets, *captured)` of each chunk with a live token, 0 for the others.

    Args:
        function: gives a scalar for a chunk, or a value for each of its tokens that depends on
            that token's hidden state alone.
        summed: whether it is a scalar; the scalars are then added up.
        x_nBXD: hidden states.
        live_nBX: which tokens count.
        targets: a tree of arrays [n,B,X,...].
        captured: what `function` closes over (`jax.closure_convert`), such as the head's weights.

    Returns:
        float32, a scalar or [n,B,X].
    """

    def body(total, chunk):
        live = functools.partial(function, *chunk, *captured)
        # Replies are at the front of their rows, so the last chunks are often empty. A `cond` skips
        # head and loss there; a mask would compute them.
        value = jax.lax.cond(chunk[1].any(), live, lambda: _zero(chunk[1], summed))
        return (total + value, None) if summed else (total, value)

    total, values = jax.lax.scan(body, jnp.float32(0), (x_nBXD, live_nBX, targets))
    return total if summed else values


def _zero(live_BX: jax.Array, summed: bool) -> jax.Array:
    return jnp.zeros(() if summed else live_BX.shape, jnp.float32)


# With `symbolic_zeros` the forward rule receives, in place of each array, a record of its value and
# of whether anybody differentiates by it (`perturbed`). That is how it learns, while tracing,
# which of the captured weights are trained: a frozen head then costs no gradient of its own
# size. Such weights are set apart as two lists with None in each other's places, so that one of
# them is a tree to differentiate by. The gradient by a hidden state is made here, with the
# logits at hand. The gradient by trained weights can be made here as well where one scalar comes
# out, as its cotangent only scales it; where every token has a cotangent of its own, the weights
# take a second pass over the chunks once those are known.
def _scan_live_fwd(function, summed, *primals):
    x_nBXD, live_nBX, targets, captured = jax.tree.map(lambda p: p.value, primals)
    trained = [p.perturbed for p in primals[3]]
    learnt = [w if t else None for t, w in zip(trained, captured, strict=True)]
    fixed = [None if t else w for t, w in zip(trained, captured, strict=True)]

    def body(carry, chunk):
        total, grads = carry
        x_BXD, live_BX, targets = chunk

        def some():
            def value_of(x_BXD, learnt):
                return function(x_BXD, live_BX, targets, *_joined(learnt, fixed))

            # Each value depends on its own hidden state alone, so one pull by ones gives every
            # token's gradient.
            if not summed:
                value, pull = jax.vjp(lambda x: value_of(x, learnt), x_BXD)
                return value, pull(jnp.ones_like(value))[0], grads
            value, (dx_BXD, more) = jax.value_and_grad(value_of, (0, 1))(x_BXD, learnt)
            return value, dx_BXD, jax.tree.map(jnp.add, grads, more)

        def none():
            return _zero(live_BX, summed), jnp.zeros_like(x_BXD), grads

        # The gradients by weights are carried, not stacked: one array of the head's size in all.
        value, dx_BXD, grads = jax.lax.cond(live_BX.any(), some, none)
        if summed:
            return (total + value, grads), (None, dx_BXD)
        return (total, grads), (value, dx_BXD)

    start = jnp.float32(0), jax.tree.map(jnp.zeros_like, learnt) if summed else None
    xs = x_nBXD, live_nBX, targets
    (total, grads), (values, dx_nBXD) = jax.lax.scan(body, start, xs)
    if summed:
        return total, (dx_nBXD, grads, None)
    return values, (dx_nBXD, None, (xs, learnt, fixed) if any(trained) else None)


def _scan_live_bwd(function, summed, residuals, g):
    dx_nBXD, grads, again = residuals
    if summed:
        # Back to the dtype of the inputs, as a custom VJP must: float32 `g` widens bfloat16.
        scaled = jax.tree.map(lambda y: (g * y).astype(y.dtype), (dx_nBXD, grads))
        return scaled[0], None, None, scaled[1]
    grads = None if again is None else _weight_grads(function, g, *again)
    return (g[..., None] * dx_nBXD).astype(dx_nBXD.dtype), None, None, grads


def _weight_grads(function, g_nBX, xs, learnt: Captured, fixed: Captured) -> Captured:
    """Gradients by the captured weights that are trained, None for the others."""

    def body(grads, chunk):
        inputs, g_BX = chunk

        # Logits are computed a second time: keeping those of all chunks is what this module avoids.
        def some():
            _, pull = jax.vjp(lambda w: function(*inputs, *_joined(w, fixed)), learnt)
            return jax.tree.map(jnp.add, grads, pull(g_BX)[0])

        return jax.lax.cond(inputs[1].any(), some, lambda: grads), None

    return jax.lax.scan(body, jax.tree.map(jnp.zeros_like, learnt), (xs, g_nBX))[0]


def _joined(learnt: Captured, fixed: Captured) -> Captured:
    return [f if w is None else w for w, f in zip(learnt, fixed, strict=True)]


scan_live.defvjp(_scan_live_fwd, _scan_live_bwd, symbolic_zeros=True)
