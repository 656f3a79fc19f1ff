"""Log-probability of each target, a few tokens at a time, for losses that sum them up in groups.

As in `chunked`, the gradient by the hidden states is made in the forward pass beside the logits: a
token's log-probability depends on its own hidden state alone, so one vector per token is enough
and the backward pass only scales it. Weights of the head that are trained take a second pass.
"""

import functools

import jax
import jax.numpy as jnp

from duomem_jax.objectives.chunked import Head, in_chunks
from duomem_jax.objectives.replies import front
from duomem_jax.objectives.text import cross_entropy


def token_logprobs(
    x_BTD: jax.Array, head: Head, targets_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
    """log p(target) of the tokens with mask 1, 0 elsewhere; [B, T, V] logits never exist.

    Args:
        x_BTD: final hidden states.
        head: from x_BCD to logits_BCV; what it captures may be differentiated.
        targets_BT: ids of the tokens that the hidden states predict.
        mask_BT: 0 or 1.

    Returns:
        logp_BT in nats, float32.
    """
    B, T, _ = x_BTD.shape
    mask_BT = mask_BT > 0
    live_BM, (x_BMD, targets_BM) = front(mask_BT, (x_BTD, targets_BT), T)

    def chunk_logprobs(x_BCD, mask_BC, targets_BC):
        return jnp.where(mask_BC, -cross_entropy(head(x_BCD), targets_BC), 0.0)

    vocab = jax.eval_shape(head, x_BTD[:, :1]).shape[-1]
    xs = in_chunks((x_BMD, live_BM, targets_BM), vocab)
    chunk_logprobs, captured = jax.closure_convert(chunk_logprobs, *(y[0] for y in xs))
    logp_nBC = _logprobs(chunk_logprobs, *xs, captured)
    logp_BT = jnp.moveaxis(logp_nBC, 0, 1).reshape(B, -1)
    place_BT = jnp.cumsum(mask_BT, axis=1) - 1  # where `front` has put the masked tokens
    return jnp.where(mask_BT, jnp.take_along_axis(logp_BT, place_BT, axis=1), 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _logprobs(chunk_logprobs, x_nBCD, mask_nBC, targets_nBC, captured):
    """chunk_logprobs(x, mask, targets, *captured) of n chunks, skipping those without any mask."""

    def body(_, chunk):
        live = functools.partial(chunk_logprobs, *chunk, *captured)
        return None, jax.lax.cond(
            chunk[1].any(), live, lambda: jnp.zeros(chunk[1].shape, jnp.float32)
        )

    return jax.lax.scan(body, None, (x_nBCD, mask_nBC, targets_nBC))[1]


def _logprobs_fwd(chunk_logprobs, *primals):
    """Also each token's gradient by its hidden state, and what the weights' gradient needs."""
    *xs, captured = jax.tree.map(lambda p: p.value, primals)
    trained = [p.perturbed for p in primals[3]]

    def body(_, chunk):
        x_BCD, *rest = chunk

        def live():
            logp_BC, vjp = jax.vjp(lambda x_BCD: chunk_logprobs(x_BCD, *rest, *captured), x_BCD)
            return logp_BC, vjp(jnp.ones_like(logp_BC))[0]

        dead = jnp.zeros(x_BCD.shape[:2], jnp.float32), jnp.zeros_like(x_BCD)
        return None, jax.lax.cond(rest[0].any(), live, lambda: dead)

    logp_nBC, dx_nBCD = jax.lax.scan(body, None, tuple(xs))[1]
    learnt, fixed = (
        [w if t == wanted else None for t, w in zip(trained, captured, strict=True)]
        for wanted in (True, False)
    )
    return logp_nBC, (dx_nBCD, (xs, learnt, fixed) if any(trained) else None)


def _logprobs_bwd(chunk_logprobs, residuals, g_nBC):
    dx_nBCD, weights = residuals
    grads = None if weights is None else _weight_grads(chunk_logprobs, g_nBC, *weights)
    return (g_nBC[..., None] * dx_nBCD).astype(dx_nBCD.dtype), None, None, grads


def _weight_grads(chunk_logprobs, g_nBC, xs, learnt, fixed):
    """Gradients by the captured weights that are trained, None for the others."""

    def body(grads, chunk):
        inputs, g_BC = chunk

        def logp_of(learnt):
            every = [f if w is None else w for w, f in zip(learnt, fixed, strict=True)]
            return chunk_logprobs(*inputs, *every)

        def live():
            return jax.tree.map(jnp.add, grads, jax.vjp(logp_of, learnt)[1](g_BC)[0])

        return jax.lax.cond(inputs[1].any(), live, lambda: grads), None

    return jax.lax.scan(body, jax.tree.map(jnp.zeros_like, learnt), (tuple(xs), g_nBC))[0]


_logprobs.defvjp(_logprobs_fwd, _logprobs_bwd, symbolic_zeros=True)
