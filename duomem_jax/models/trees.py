"""The trees that weights come in, and the form of them that decoding reads best.

All are nested dictionaries with the decoder's names, so that an adapter's path is its kernel's.
"""

import operator
from collections.abc import Mapping
from typing import Any, TypeAlias

import jax

from duomem_jax.models.platform import platform

# `Any` is a tree of the same kind, or a leaf: an array, a `qwix.QArray`, or what the name says.
Params: TypeAlias = dict[str, Any]  # a base's parameters
AdapterTree: TypeAlias = dict[str, Any]  # {"layers": {"mlp": {"up_proj": {"a": .., "b": ..}}}}
Shapes: TypeAlias = dict[str, Any]  # leaves are jax.ShapeDtypeStruct
LogicalAxes: TypeAlias = dict[str, Any]  # leaves are PartitionSpecs of logical names
Shardings: TypeAlias = dict[str, Any]  # leaves are jax.sharding.Sharding


def layer_name(i: int) -> str:
    """Name of layer `i` in a tree whose layers lie apart."""
    return f"layers_{i}"


def for_decoding(tree: Params) -> Params:
    """A tree of parameters or adapters as steps with a cache read it best; done at most once.

    Each layer lies apart, as a loop over a stack would copy every kernel at every token. On a CPU
    a tied head lies as an untied one would, [D,V], in place of the table: a few rows times it are
    then as fast as the memory, else three times slower.
    """
    # An adapter has no table, and what lies apart has no "layers": one function serves all.
    if "layers" not in tree:
        return tree
    rest = {name: child for name, child in tree.items() if name != "layers"}
    if platform() == "cpu" and "embedding" in rest and "head" not in rest:
        rest["head"] = rest.pop("embedding").T
    stacks: Mapping[str, Any] = tree["layers"]
    n_layers = len(jax.tree.leaves(stacks)[0])
    apart = (jax.tree.map(operator.itemgetter(i), stacks) for i in range(n_layers))
    return rest | {layer_name(i): layer for i, layer in enumerate(apart)}
