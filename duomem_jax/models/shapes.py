"""Weights as shapes, known before anything is loaded."""

import functools
import math
from typing import Any

import jax
from jax.dtypes import itemsize_bits

from duomem_jax.models.config import DTYPES
from duomem_jax.models.model import Model
from duomem_jax.models.quantize import place, quantize
from duomem_jax.models.trees import Shapes, Shardings


def weight_shapes(
    model: Model, dtype: str, kind: str = "", shardings: Shardings | None = None
) -> Shapes:
    """Parameters as `load_pretrained` gives them, as a tree of ShapeDtypeStruct.

    Args:
        model: whose.
        dtype: of the parameters.
        kind: how kernels are quantised, "" for not.
        shardings: where they lie, or None.
    """

    def leaf(path: Any, shape: jax.ShapeDtypeStruct, sharding: Any = None) -> Any:
        whole = jax.ShapeDtypeStruct(shape.shape, DTYPES[dtype], sharding=sharding)
        if not kind or path[-1].key != "kernel":
            return whole
        # A QArray is several arrays of other shapes, and each lies by its own.
        parts = jax.eval_shape(functools.partial(quantize, kind=kind), whole)
        return jax.tree.map(lambda x: _at(x, sharding and place(sharding, x)), parts)

    trees = [model.shapes()["params"], *([shardings] if shardings else [])]
    return jax.tree_util.tree_map_with_path(leaf, *trees)


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays or shapes of a tree, on a device, where two 4-bit numbers share one."""
    # An array's own `nbytes` is that of a copy on the host, whose 4-bit numbers have a byte each.
    bits = [math.prod(x.shape) * itemsize_bits(x.dtype) for x in jax.tree.leaves(tree)]
    return sum(bits) // 8


def _at(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
