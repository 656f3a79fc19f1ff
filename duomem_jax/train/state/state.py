"""What changes during a run, and where each piece of it lies on the mesh."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

Tree = Any  # nested dictionaries of arrays, shapes or shardings


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The trained tree (an adapter, or all parameters) and what the optimizer remembers."""

    step: Any  # int32, updates done
    params: Tree  # float32
    opt_state: Tree
    rng: Any  # uint32[2], key data


def state_shardings(
    tx: optax.GradientTransformation, params: Tree, shardings: Tree, mesh: Mesh
) -> TrainState:
    """A TrainState of NamedSharding: moments lie as their parameters, the rest is replicated.

    Without it `jit(tx.init)` leaves all moments on one device.

    Args:
        tx: the optimizer.
        params: trained tree, or its shapes.
        shardings: NamedSharding for each leaf of `params`.
        mesh: the mesh.
    """
    replicated = NamedSharding(mesh, P())
    # By path, not by `optax.tree_map_params`: what a rule masks has no parameter to map to.
    of_param = dict(jax.tree_util.tree_leaves_with_path(shardings))

    def place(path: tuple, leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        # A moment's path ends with its parameter's; what masks leave out does not matter here.
        # Longest tail first. Scalars, such as a rule's counters, have no axis to split.
        tails = (path[i:] for i in range(len(path)))
        return next((of_param[t] for t in tails if t in of_param and leaf.ndim), replicated)

    opt_state = jax.tree_util.tree_map_with_path(place, jax.eval_shape(tx.init, params))
    return TrainState(replicated, shardings, opt_state, replicated)


def new_state(tx: optax.GradientTransformation, params: Tree, seed: int = 0) -> TrainState:
    """State at step 0 around `params`."""
    # Plain numbers: the checksum reads bits, which typed keys do not show.
    rng = jax.random.key_data(jax.random.key(seed))
    return TrainState(jnp.int32(0), params, tx.init(params), rng)


def init_state(
    tx: optax.GradientTransformation, params: Tree, shardings: TrainState, seed: int
) -> TrainState:
    """`new_state`, already in place on the mesh."""
    make = functools.partial(new_state, tx, seed=seed)
    return jax.jit(make, out_shardings=shardings)(params)
