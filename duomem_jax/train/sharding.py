"""The mesh, and the one table that says which logical axis lies on which mesh axis."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from duomem_jax.config import MeshConfig
from duomem_jax.errors import UserError
from duomem_jax.models.axes import axis_rules, mesh_shardings
from duomem_jax.models.model import Model

AXES = ("data", "fsdp", "tensor")
RULES = (
    ("batch", ("data", "fsdp")),
    ("embed", "fsdp"),
    ("heads", "tensor"),
    ("mlp", "tensor"),
    ("vocab", "tensor"),
    ("table", None),  # rows of the embedding: a gather from a split table is slow
    ("norm", None),
    ("rank", None),
    ("layers", None),
)
BATCH = P(("data", "fsdp"))


def make_mesh(config: MeshConfig, global_batch: int) -> Mesh:
    """A mesh with axes `AXES`; `data=-1` takes the devices the other axes leave.

    Raises:
        UserError: more devices wanted than there are, or a batch that cannot be shared out.
    """
    have, fixed = jax.device_count(), config.fsdp * config.tensor
    data = have // fixed if config.data == -1 else config.data
    shape = (data, config.fsdp, config.tensor)
    wanted = math.prod(shape)
    if not 0 < wanted <= have or min(shape) < 1:
        raise UserError(
            f"config: mesh {dict(zip(AXES, shape, strict=True))} does not fit {have} devices; "
            "change mesh.data, mesh.fsdp or mesh.tensor"
        )
    if global_batch % (data * config.fsdp):
        raise UserError(
            f"config: global_batch {global_batch} is not a multiple of mesh.data * mesh.fsdp = "
            f"{data * config.fsdp}; change one of them"
        )
    # Auto mode must be asked for: make_mesh's own default is Explicit.
    return jax.make_mesh(
        shape, AXES, devices=jax.devices()[:wanted], axis_types=(AxisType.Auto,) * len(AXES)
    )


@contextlib.contextmanager
def use_mesh(mesh: Mesh) -> Iterator[None]:
    """Make `mesh` and `RULES` current; `with mesh:` would silently drop every constraint."""
    with jax.set_mesh(mesh), axis_rules(RULES):
        yield


def model_shardings(model: Model, mesh: Mesh) -> dict[str, Any]:
    """{"params": ..., "lora": ...} trees of NamedSharding; "lora" only if configured.

    Raises:
        UserError: an axis of the model is not a multiple of its mesh axis.
    """
    logical, shapes = model.logical_axes(), model.shapes()
    shardings = mesh_shardings(logical, mesh, RULES)

    def check(path: Any, sharding: NamedSharding, shape: jax.ShapeDtypeStruct) -> None:
        try:
            sharding.shard_shape(shape.shape)
        except ValueError:
            raise UserError(
                f"config: {jax.tree_util.keystr(path)} of shape {shape.shape} cannot be split "
                f"over mesh {dict(mesh.shape)}; change mesh.fsdp or mesh.tensor"
            ) from None

    jax.tree_util.tree_map_with_path(check, shardings, shapes)
    return shardings


def put_batch(batch: dict[str, Any], mesh: Mesh) -> dict[str, jax.Array]:
    """This host's rows as part of the global batch."""
    sharding = NamedSharding(mesh, BATCH)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
