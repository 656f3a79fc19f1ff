"""Logical axis names to a mesh; the one place where the module library meets sharding."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import jax
from flax import linen as nn
from jax.sharding import Mesh, PartitionSpec

from duomem_jax.models.trees import LogicalAxes, Shardings

MeshAxes = str | tuple[str, ...] | None
Rules = Sequence[tuple[str, MeshAxes]]  # logical name -> where it lies


def axis_rules(rules: Rules) -> AbstractContextManager:
    """Context in which the decoder's activation constraints are resolved by `rules`."""
    return nn.logical_axis_rules(rules)


def mesh_shardings(logical_axes: LogicalAxes, mesh: Mesh, rules: Rules) -> Shardings:
    """A tree of NamedSharding for a tree of logical PartitionSpecs."""
    return nn.logical_to_mesh_sharding(logical_axes, mesh, rules)


def mesh_axes(*logical: str | None) -> PartitionSpec:
    """Where an array with these logical axes lies, by the current rules."""
    return nn.logical_to_mesh_axes(logical) or PartitionSpec()


def parts(logical: str) -> int:
    """Into how many parts the current mesh and rules split an axis of that name; 1 without them."""
    # An entry of a PartitionSpec is one axis of the mesh, several, or None.
    mesh, axes = jax.sharding.get_abstract_mesh(), mesh_axes(logical)
    named = axes[0] if axes and not mesh.empty else None
    return math.prod(
        mesh.shape[axis] for axis in ((named,) if isinstance(named, str) else named or ())
    )
