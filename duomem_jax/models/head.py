"""The product of hidden states with a head's whole vocabulary."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.models.platform import on_one_cpu

BLOCK = 2048  # words of the vocabulary whose product is summed at a time


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def vocab_logits(x_ZD: jax.Array, kernel: jax.Array, axis: int) -> jax.Array:
    """logits_ZV in float32.

    Args:
        x_ZD: final hidden states of Z tokens.
        kernel: [D,V], or a table of embeddings [V,D], in the dtype of `x_ZD`.
        axis: where V is.
    """
    # Both layouts are contracted as they lie, without a transposed copy of the head.
    contract = ((1,), (1 - axis,)), ((), ())
    return jax.lax.dot_general(x_ZD, kernel, contract, preferred_element_type=jnp.float32)


def _forward(
    x_ZD: jax.Array, kernel: jax.Array, axis: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return vocab_logits(x_ZD, kernel, axis), (x_ZD, kernel)


def _backward(
    axis: int, residuals: tuple[jax.Array, jax.Array], g_ZV: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x_ZD, kernel = residuals

    def towards_x(start: Any, size: int) -> jax.Array:
        """What `size` words from `start` on add to the gradient of x_ZD."""
        g = jax.lax.dynamic_slice_in_dim(g_ZV, start, size, 1)
        block = jax.lax.dynamic_slice_in_dim(kernel, start, size, axis)
        contract = ((1,), (axis,)), ((), ())
        return jax.lax.dot_general(g, block, contract, preferred_element_type=jnp.float32)

    V = g_ZV.shape[1]
    if on_one_cpu():  # whose products take twice the time where the sum is as long as V
        # The remainder comes first, so that all blocks of the loop have one static size.
        size = min(BLOCK, V)
        dx_ZD = towards_x(0, V % size or size)
        dx_ZD = jax.lax.fori_loop(
            1, -(-V // size), lambda i, dx_ZD: dx_ZD + towards_x(V - i * size, size), dx_ZD
        )
    else:
        dx_ZD = towards_x(0, V)
    # Of a frozen head nobody uses this product, and XLA omits it.
    left, right = (x_ZD, g_ZV) if axis == 1 else (g_ZV, x_ZD)
    dkernel = jnp.dot(left.T, right, preferred_element_type=jnp.float32)
    return dx_ZD.astype(x_ZD.dtype), dkernel.astype(kernel.dtype)


vocab_logits.defvjp(_forward, _backward)
