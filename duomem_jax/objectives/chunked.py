"""Head and loss over a few tokens at a time, so that [B, T, V] logits never exist.

The gradient is made in the forward pass, beside the loss: a chunk's logits are then computed once
instead of twice, and between the passes no more is kept than one gradient per hidden state.
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


def chunk_length(B: int, T: int, V: int) -> int:
    """Tokens of each of a device's B rows whose logits are computed together."""
    most = max(MIN_CHUNK, min(MAX_CHUNK, LOGITS // (B * V)))
    return -(-T // -(-T // most))  # as few chunks as that allows, of equal length


def in_chunks(tree: Any, vocab: int) -> Any:
    """Arrays [B,M,...] as [n,B,C,...], M filled up with zeros; C is `chunk_length`."""
    B, M = jax.tree.leaves(tree)[0].shape[:2]
    # By the rows of one device: a chunk reads the whole head there, whose time few tokens waste.
    C = chunk_length(max(1, B // parts("batch")), M, vocab)

    def chunks(y_BM: jax.Array) -> jax.Array:
        y_BM = jnp.pad(y_BM, [(0, 0), (0, -M % C)] + [(0, 0)] * (y_BM.ndim - 2))
        return jnp.moveaxis(y_BM.reshape(B, -1, C, *y_BM.shape[2:]), 1, 0)

    return jax.tree.map(chunks, tree)


def sum_over_tokens(
    token_loss: Callable[..., jax.Array],
    x_BMD: jax.Array,
    head: Head,
    live_BM: jax.Array,
    targets: Any,
    *,
    other_vocab: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """Sum a per-token loss over the live tokens; a chunk without any never meets the head.

    Args:
        token_loss: (logits_MV float32, targets of those tokens) -> loss_M float32.
        x_BMD: final hidden states, live tokens first (`front`).
        head: from x_MD to logits_MV; what it captures may be differentiated.
        live_BM: which tokens count.
        targets: a tree of arrays [B,M,...], taken as constants.
        other_vocab: logits a token that `token_loss` makes itself, such as a teacher's.

    Returns:
        (loss_sum, weight): float32 scalars; weight counts the live tokens.
    """
    V = jax.eval_shape(head, x_BMD[:, :1]).shape[-1]

    def chunk_sum(*chunk):
        # Without an axis for rows: XLA:CPU takes ten times as long to reduce [1,C,V].
        x_MD, live_M, targets = jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), chunk)
        return jnp.sum(jnp.where(live_M, token_loss(head(x_MD), targets), 0.0))

    xs = in_chunks((x_BMD, live_BM, targets), V + other_vocab)
    first = jax.tree.map(lambda y: y[0], xs)
    chunk_sum, captured = jax.closure_convert(chunk_sum, *first)
    return _sum(chunk_sum, *xs, captured), jnp.sum(live_BM, dtype=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum(chunk_sum, x_nBCD, mask_nBC, targets, captured):
    """Sum of chunk_sum(x, mask, targets, *captured) over n chunks."""

    def body(total, chunk):
        live = functools.partial(chunk_sum, *chunk, *captured)
        return total + jax.lax.cond(chunk[1].any(), live, lambda: jnp.float32(0)), None

    return jax.lax.scan(body, jnp.float32(0), (x_nBCD, mask_nBC, targets))[0]


def _sum_fwd(chunk_sum, *primals):
    """The sum, and its gradients by x and by what of `captured` is differentiated."""
    x_nBCD, mask_nBC, targets, captured = jax.tree.map(lambda p: p.value, primals)
    trained = [p.perturbed for p in primals[3]]

    def body(carry, chunk):
        total, grads = carry
        x_BCD, mask_BC, targets = chunk

        def loss_of(x_BCD, weights):
            weights = iter(weights)
            every = [next(weights) if t else w for t, w in zip(trained, captured, strict=True)]
            return chunk_sum(x_BCD, mask_BC, targets, *every)

        def live():
            loss, (dx_BCD, more) = jax.value_and_grad(loss_of, (0, 1))(x_BCD, learnt)
            return total + loss, jax.tree.map(jnp.add, grads, more), dx_BCD

        total, grads, dx_BCD = jax.lax.cond(
            mask_BC.any(), live, lambda: (total, grads, jnp.zeros_like(x_BCD))
        )
        return (total, grads), dx_BCD

    learnt = [w for t, w in zip(trained, captured, strict=True) if t]
    start = jnp.float32(0), jax.tree.map(jnp.zeros_like, learnt)
    (total, grads), dx_nBCD = jax.lax.scan(body, start, (x_nBCD, mask_nBC, targets))
    filled = iter(grads)
    return total, (dx_nBCD, [next(filled) if t else None for t in trained])


def _sum_bwd(chunk_sum, residuals, g):
    del chunk_sum
    dx_nBCD, grads = jax.tree.map(lambda y: (g * y).astype(y.dtype), residuals)
    return dx_nBCD, None, None, grads


_sum.defvjp(_sum_fwd, _sum_bwd, symbolic_zeros=True)
