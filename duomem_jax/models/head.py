"""The product of hidden states with a head's whole vocabulary."""

import functools

import jax
import jax.numpy as jnp

from duomem_jax.models.platform import on_one_cpu

BLOCK = 2048  # words


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def vocab_logits(x_MD: jax.Array, kernel: jax.Array, axis: int) -> jax.Array:
    """logits_MV in float32.

    Args:
        x_MD: final hidden states.
        kernel: [D,V], or a table of embeddings [V,D], in the dtype of `x_MD`.
        axis: where V is.
    """
    contract = ((1,), (1 - axis,)), ((), ())
    return jax.lax.dot_general(x_MD, kernel, contract, preferred_element_type=jnp.float32)


def _forward(x_MD, kernel, axis):
    return vocab_logits(x_MD, kernel, axis), (x_MD, kernel)


def _backward(axis, residuals, g_MV):
    x_MD, kernel = residuals

    def towards_x(start, size):
        g = jax.lax.dynamic_slice_in_dim(g_MV, start, size, 1)
        block = jax.lax.dynamic_slice_in_dim(kernel, start, size, axis)
        contract = ((1,), (axis,)), ((), ())
        return jax.lax.dot_general(g, block, contract, preferred_element_type=jnp.float32)

    V = g_MV.shape[1]
    if on_one_cpu():  # whose products take twice the time where the sum is as long as V
        size = min(BLOCK, V)
        dx_MD = towards_x(0, V % size or size)
        dx_MD = jax.lax.fori_loop(
            1, -(-V // size), lambda i, dx_MD: dx_MD + towards_x(V - i * size, size), dx_MD
        )
    else:
        dx_MD = towards_x(0, V)
    left, right = (x_MD, g_MV) if axis else (g_MV, x_MD)
    dkernel = jnp.dot(left.T, right, preferred_element_type=jnp.float32)
    return dx_MD.astype(x_MD.dtype), dkernel.astype(kernel.dtype)


vocab_logits.defvjp(_forward, _backward)
