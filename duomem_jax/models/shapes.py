"""Weights as shapes, known before anything is loaded."""

import functools
import math
from typing import Any

import jax
import numpy as np

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
    """Bytes of all arrays or shapes of a tree."""
    return sum(math.prod(x.shape) * np.dtype(x.dtype).itemsize for x in jax.tree.leaves(tree))


def _at(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
