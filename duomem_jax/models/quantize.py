"""Weight-only quantisation of a frozen base: its kernels in 8 or 4 bits, all else as it was.

Kernels are dequantised layer by layer where they are used, so that a step needs room for one
layer's kernels only; gradients pass through to the adapters (QLoRA, arXiv 2305.14314).
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from duomem_jax.base.errors import UserError

Quantize = Literal["", "int8", "nf4"]  # what a config may say: not at all, or a name in KINDS
# name -> (qwix's type, inputs that share a scale; 0: all of them)
KINDS: dict[str, tuple[Any, int]] = {
    "int8": (jnp.int8, 0),
    "nf4": ("nf4", 64),
}


def quantize(kernel: jax.Array, kind: str) -> Any:
    """A `qwix.QArray` of kernel_..DF: one scale for each output and group of inputs.

    Raises:
        UserError: D is not a multiple of the group.
    """
    qwix = _library()
    qtype, group = KINDS[kind]
    D, axis = kernel.shape[-2], kernel.ndim - 2
    if group and D % group:
        raise UserError(
            f"quantize {kind}: a kernel has {D} inputs, not a multiple of {group}; use int8"
        )
    others = [a for a in range(kernel.ndim) if a != axis]
    return qwix.quantize(
        kernel, qtype, channelwise_axes=others, tiled_axes={axis: group} if group else {}
    )


def as_kernel(kernel: Any, dtype: Any) -> jax.Array:
    """The kernel as numbers of `dtype`, whether it is quantised or not."""
    # A traced kernel is a jax.Array too, so the question is safe under jit.
    if not isinstance(kernel, jax.Array):
        kernel = _library().dequantize(kernel)
    return kernel.astype(dtype)


def place(sharding: Sharding, leaf: jax.ShapeDtypeStruct) -> Sharding:
    """The kernel's sharding for a leaf of its QArray: an axis of one entry is not split."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    spec = [*sharding.spec, *[None] * (len(leaf.shape) - len(sharding.spec))]
    kept = [axis if n > 1 else None for axis, n in zip(spec, leaf.shape, strict=True)]
    return NamedSharding(sharding.mesh, PartitionSpec(*kept))


def _library() -> Any:
    try:
        import qwix
    except ImportError:
        raise UserError(
            "a quantised base needs the package qwix; install duomem-jax[quant]"
        ) from None
    return qwix
