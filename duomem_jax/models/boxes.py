"""Fresh variables in boxes that know the logical names of their axes, and what boxes say."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn

from duomem_jax.models.trees import LogicalAxes, Shapes


def fresh(module: nn.Module, rngs: Any, *inputs: jax.Array) -> Mapping[str, Any]:
    """Fresh variables of a module, boxed."""
    # The current mesh may be one of chips that are not here (`aot`): nothing depends on it.
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        return module.init(rngs, *inputs)


def axes_of(boxed: Any) -> LogicalAxes:
    """A tree of PartitionSpecs of logical axis names."""
    return nn.get_partition_spec(boxed)


def shapes_of(boxed: Any) -> Shapes:
    """A tree of what the boxes hold, from `jax.eval_shape`."""
    # Not `nn.unbox`, which under a mesh asks for arrays.
    return jax.tree.map(
        lambda box: box.value, boxed, is_leaf=lambda x: isinstance(x, nn.Partitioned)
    )
